"""Rows on numbers in half precision."""

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from benchmarks.gpu.demo_parts import demo_config, demo_images, demo_model
from benchmarks.gpu.outcome import Outcome, Setting, needs_gpu
from mmlgd.models.data_preprocessor import normalise_like
from mmlgd.registry import MODELS

#: Accepted mean difference of the losses, relative to float32. bfloat16 has 8 bits.
LOSS_TOLERANCE = dict(float16=0.02, bfloat16=0.05)
#: Smallest accepted cosine of an embedding in float16 with that in float32.
COSINE = 0.999


def _wrapper(model: nn.Module, dtype: str) -> OptimWrapper:
    config = dict(
        type='mmlgd.AmpOptimWrapper',
        constructor='mmlgd.FusedOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=0.003, momentum=0.9),
        dtype=dtype,
        cpu_dtype='bfloat16',
    )
    if dtype == 'float32':
        del config['dtype'], config['cpu_dtype']
        config['type'] = 'OptimWrapper'
    return build_optim_wrapper(model, config)


def training_losses(setting: Setting, dtype: str) -> list[float]:
    """Losses of the first steps of the demo's training on one batch."""
    # The teacher of the float32 run computes in float32.
    model = demo_model()
    if dtype == 'float32':
        model.teacher.precision = 'fp32'
    model = model.to(setting.device, memory_format=torch.channels_last).train()
    wrapper = _wrapper(model, dtype)
    batch = dict(inputs=demo_images(setting.pick(128, 4)))
    return [
        float(model.train_step(batch, wrapper)['loss'])
        for _ in range(setting.pick(20, 2))
    ]


def losses(setting: Setting, dtype: str) -> Outcome:
    """Training steps in half precision against float32."""
    full, half = (training_losses(setting, each) for each in ('float32', dtype))
    differences = [abs(a - b) / abs(b) for a, b in zip(half, full)]
    mean = sum(differences) / len(differences)
    figure = f'mean {mean:.2%}, largest {max(differences):.2%} in {len(full)} steps'
    if not setting.on_gpu:
        figure += ' (bfloat16 on a CPU)'
    passed = mean <= LOSS_TOLERANCE[dtype] and full[-1] < full[0]
    return Outcome(passed, figure, dict(float32=full, half=half))


def grad_scaler(setting: Setting) -> Outcome:
    """An infinite gradient: the step is skipped and the scale is halved."""
    layer = nn.Linear(4, 1).to(setting.device)
    wrapper = _wrapper(layer, 'float16')
    if not setting.on_gpu:
        wrapper.loss_scaler = torch.amp.GradScaler('cpu')
    inputs = torch.ones(2, 4, device=setting.device)
    found = []
    for factor in (1.0, float('inf'), 1.0):
        before = layer.weight.detach().clone()
        with wrapper.optim_context(layer):
            loss = layer(inputs).float().mean() * factor
        wrapper.update_params(loss)
        moved = not torch.equal(before, layer.weight)
        found.append((moved, wrapper.loss_scaler.get_scale()))
    (moved, scale), (skipped, halved), (again, _) = found
    passed = moved and not skipped and again and halved == scale / 2
    fused = wrapper.optimizer.defaults['fused']
    figure = f'scale {scale:g} to {halved:g}, fused optimizer: {bool(fused)}'
    return Outcome(bool(passed and (fused or not setting.on_gpu)), figure)


@torch.no_grad()
def half_teacher(setting: Setting) -> Outcome:
    """Embeddings of the demo's trained teacher in float16 against float32."""
    config = demo_config().model.teacher
    images = demo_images(setting.pick(2000, 8)).to(setting.device)
    rows = []
    for precision in ('fp32', 'fp16'):
        teacher = MODELS.build(dict(config, precision=precision))
        teacher.to(setting.device, memory_format=torch.channels_last)
        preprocess = MODELS.build(normalise_like(teacher, {})).to(setting.device)
        rows.append(teacher.encode_image(preprocess(dict(inputs=images))['inputs']))
    cosines = F.cosine_similarity(*rows, dim=1)
    mean, worst = cosines.mean().item(), cosines.min().item()
    if not setting.on_gpu:
        return needs_gpu('the teacher of a CPU is in float32')
    figure = f'cosine {mean:.6f} on average, worst {worst:.6f}'
    return Outcome(worst >= COSINE, figure, dict(mean=mean, worst=worst))
