"""AmpOptimWrapper on the CPU, and its use of the loss scaler on a GPU."""

import importlib
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS, DefaultScope
from torch import nn

from mmlgd.engine import AmpOptimWrapper, amp_optim_wrapper
from mmlgd.errors import ConfigError

# The module, not the class of mmengine.optim that a plain import would find.
mmengine_amp = importlib.import_module('mmengine.optim.optimizer.amp_optimizer_wrapper')


def processor(monkeypatch, features: str | None) -> None:
    """A machine without accelerator, and what Linux says of its processor."""

    def read_text(path, **kwargs):
        if features is None:
            raise FileNotFoundError(path)
        return f'flags : fpu avx2 {features}'

    monkeypatch.setattr(amp_optim_wrapper, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(amp_optim_wrapper.Path, 'read_text', read_text)


def gpu(monkeypatch, capability: tuple[int, int]) -> None:
    """A machine with a GPU; its scaler only keeps its options."""
    monkeypatch.setattr(amp_optim_wrapper, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(mmengine_amp, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(
        mmengine_amp, 'GradScaler', lambda **kwargs: SimpleNamespace(options=kwargs)
    )
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'a GPU')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: capability)


@pytest.fixture
def cpu(monkeypatch):
    processor(monkeypatch, 'avx512f avx512_bf16')


def make(model: nn.Module | None = None, **kwargs) -> AmpOptimWrapper:
    model = model or nn.Linear(4, 3)
    return AmpOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.5), **kwargs
    )


def bfloat16_loss(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    with torch.autocast('cpu', torch.bfloat16):
        return model(inputs).float().square().mean()


def test_configs_of_our_scope_get_ours():
    with DefaultScope.overwrite_default_scope('mmlgd'):
        cfg = dict(type='AmpOptimWrapper', optimizer=make().optimizer)
        assert type(OPTIM_WRAPPERS.build(cfg)) is AmpOptimWrapper
    assert OPTIM_WRAPPERS.get('mmlgd.AmpOptimWrapper') is AmpOptimWrapper


@pytest.mark.parametrize('dtype', [None, 'bfloat16', torch.bfloat16])
def test_the_forward_pass_is_bfloat16_on_the_cpu(cpu, dtype):
    model = nn.Linear(4, 3)
    wrapper = make(model, dtype=dtype)
    with wrapper.optim_context(model):
        assert model(torch.ones(2, 4)).dtype == torch.bfloat16
    assert model(torch.ones(2, 4)).dtype == torch.float32


def test_accumulation_and_clipping_step_as_by_hand(cpu):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    batches = torch.randn(2, 5, 4)
    start = model.weight.detach().clone()
    grads = [
        torch.autograd.grad(bfloat16_loss(model, batch), [model.weight, model.bias])
        for batch in batches
    ]
    mean = [(first + second) / 2 for first, second in zip(*grads)]
    norm = torch.cat([grad.flatten() for grad in mean]).norm()
    limit = float(norm) / 2

    wrapper = make(model, accumulative_counts=2, clip_grad=dict(max_norm=limit))
    wrapper.initialize_count_status(model, 0, 2)
    for index, batch in enumerate(batches):
        with wrapper.optim_context(model):
            loss = model(batch).float().square().mean()
        assert torch.equal(model.weight, start), index
        wrapper.update_params(loss)
    # Half of the mean gradient is left by the clip, at a rate of 0.5.
    torch.testing.assert_close(
        model.weight.detach(), start - 0.5 * 0.5 * mean[0], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ('features', 'expected'),
    [
        ('avx512f avx512_bf16', torch.bfloat16),
        ('amx_bf16 amx_tile', torch.bfloat16),
        ('asimd bf16', torch.bfloat16),
        # AVX-512 alone computes bfloat16 by way of float32.
        ('avx512f avx512bw avx512vl avx512dq', torch.float32),
        ('', torch.float32),
        (None, torch.float32),
    ],
)
@pytest.mark.parametrize('dtype', [None, 'float16', 'bfloat16'])
def test_a_cpu_uses_its_native_dtype(monkeypatch, features, expected, dtype):
    processor(monkeypatch, features)
    said = []
    monkeypatch.setattr(
        amp_optim_wrapper, 'print_log', lambda text, **kwargs: said.append(text)
    )
    model = nn.Linear(4, 3)
    wrapper = make(model, dtype=dtype)
    with wrapper.optim_context(model):
        assert model(torch.ones(2, 4)).dtype == expected
    assert len(said) == (expected == torch.float32)
    assert all('float32' in text for text in said)


@pytest.mark.parametrize('cpu_dtype', ['bfloat16', 'float32'])
@pytest.mark.parametrize('features', ['', 'avx512_bf16'])
def test_a_cpu_dtype_that_is_set_is_used(monkeypatch, cpu_dtype, features):
    processor(monkeypatch, features)
    model = nn.Linear(4, 3)
    with make(model, cpu_dtype=cpu_dtype).optim_context(model):
        assert model(torch.ones(2, 4)).dtype == getattr(torch, cpu_dtype)


def test_other_cpu_dtypes_are_refused(cpu):
    with pytest.raises(ConfigError, match='cpu_dtype.*auto, bfloat16, float32'):
        make(cpu_dtype='float16')


@pytest.mark.parametrize('dtype', ['float32', 'half', torch.float64])
def test_other_types_are_refused(dtype):
    with pytest.raises(ConfigError, match=r'auto, float16, bfloat16, but is'):
        make(dtype=dtype)


def test_state_goes_from_the_cpu_to_a_scaling_run(cpu):
    source, target = make(), make()
    source.optimizer.param_groups[0]['lr'] = 0.125
    state = source.state_dict()
    assert state['loss_scaler'] == {}
    # An active scaler refuses an empty state, so it must not be handed to one.
    target.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0)
    target.load_state_dict(state)
    assert target.optimizer.param_groups[0]['lr'] == 0.125
    assert target.loss_scaler.get_scale() == 8.0


@pytest.mark.parametrize(
    ('dtype', 'loss_scale', 'expected'),
    [
        ('bfloat16', 'dynamic', dict(enabled=False)),
        ('float16', 'dynamic', {}),
        (None, 'dynamic', {}),
        ('float16', 512.0, dict(init_scale=512.0)),
    ],
)
def test_only_float16_is_scaled_on_a_gpu(monkeypatch, dtype, loss_scale, expected):
    asked = []
    gpu(monkeypatch, (7, 5))
    monkeypatch.setattr(
        mmengine_amp, 'GradScaler', lambda **kwargs: asked.append(kwargs)
    )
    make(dtype=dtype, loss_scale=loss_scale)
    assert asked == [expected]


@pytest.mark.parametrize('dtype', ['auto', None])
@pytest.mark.parametrize(
    ('capability', 'expected'),
    [((7, 0), torch.float16), ((7, 5), torch.float16), ((8, 0), torch.bfloat16)]
    + [((9, 0), torch.bfloat16), ((12, 0), torch.bfloat16)],
)
def test_a_gpu_uses_bfloat16_where_it_is_native(
    monkeypatch, dtype, capability, expected
):
    # Volta and Turing emulate bfloat16; Ampere and later GPUs have it.
    gpu(monkeypatch, capability)
    wrapper = make(dtype=dtype)
    assert wrapper.cast_dtype == expected
    assert wrapper.loss_scaler.options == (
        dict(enabled=False) if expected == torch.bfloat16 else {}
    )
