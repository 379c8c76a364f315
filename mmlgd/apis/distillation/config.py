"""The config of a distillation, complete and without bases."""

import math
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmlgd.apis.catalogue import configs_folder
from mmlgd.errors import ConfigError
from mmlgd.utils.run_config import merge_options
from mmlgd.version import __version__

from .choices import Choices
from .inputs import CONFIG_FOLDER, FoundImages
from .models import FoundStudent, FoundTeacher

#: Settings that others depend on, and the arguments that set all of them.
_ARGUMENTS = {
    'train_cfg.max_epochs': 'epochs',
    'train_dataloader.batch_size': 'batch_size',
    'optim_wrapper.optimizer.lr': 'learning_rate',
    'work_dir': 'out',
}

# Broken images that any folder may have, and the share that datasets allow by default.
_FEW_BROKEN, _DEFAULT_SHARE = 3, 0.01


def build_config(
    images: FoundImages,
    names: str | list[str],
    teacher: FoundTeacher,
    student: FoundStudent,
    choices: Choices,
    seed: int = 0,
) -> Config:
    """Build the config.

    Args:
        images (FoundImages): The training images.
        names (str | list[str]): A built-in set, or the names.
        teacher (FoundTeacher): The teacher.
        student (FoundStudent): The student.
        choices (Choices): The settings.
        seed (int): Seed of the run. Defaults to 0.
    """
    runtime = _base('default_runtime').to_dict()
    runtime.pop('vis_backends')
    runtime['randomness']['seed'] = seed
    interval = min(50, max(1, choices.steps.value // 20))
    epochs = choices.epochs.value
    runtime['default_hooks']['logger']['interval'] = interval
    runtime['default_hooks']['checkpoint'].update(
        interval=max(1, epochs // 10), max_keep_ckpts=2
    )
    for hook in runtime['custom_hooks']:
        if hook['type'] == 'SemanticsBankHook':
            hook['interval'] = interval
    return Config(
        dict(
            model=_model(names, teacher, student, choices),
            test_pipeline=_test_pipeline(teacher.image_size),
            train_dataloader=_loader(images, teacher.image_size, choices),
            **_schedule(choices),
            **runtime,
            work_dir=CONFIG_FOLDER,
        )
    )


def apply_overrides(cfg: Config, overrides: Mapping[str, Any]) -> None:
    """Merge a user's settings into the config.

    Args:
        cfg (Config): Changed in place.
        overrides (Mapping): Settings by dotted key, or dicts by top-level field.

    Raises:
        ConfigError: A setting has no effect, does not match, or would contradict others.
    """
    flat = dict(_flatten(overrides))
    for key, argument in _ARGUMENTS.items():
        if key in flat:
            raise ConfigError(
                f'{key}: other settings depend on it; use {argument} (on the command line '
                f'--{argument.replace("_", "-")}) instead.'
            )
    merge_options(cfg, flat, ())


def config_text(cfg: Config, choices: Choices) -> str:
    """The config file, which starts with the reasons of its settings."""
    head = [
        f'Written by mmlgd.distill of mmlgd {__version__}. `mmlgd train` with this file, or',
        'tools/train.py, repeats the run. Settings, and why they have these values:',
        '',
        *choices.lines(),
    ]
    comment = '\n'.join(f'# {line}'.rstrip() for line in head)
    return f'{comment}\n{cfg.pretty_text}'


def _flatten(value: Mapping[str, Any], prefix: str = ''):
    for key, item in value.items():
        if isinstance(item, Mapping) and item and '_delete_' not in item:
            yield from _flatten(item, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', item


def _base(name: str) -> Config:
    return Config.fromfile(configs_folder() / f'_base_/{name}.py')


def _model(
    names: str | list[str],
    teacher: FoundTeacher,
    student: FoundStudent,
    choices: Choices,
) -> dict:
    model = _base('models/lgd').model.to_dict()
    backbone = student.config['backbone']
    if choices.student_norms.value is not None:
        backbone = {**backbone, **(student.quick_norms or {})}
    model.update(
        student.config,
        backbone=backbone,
        teacher=teacher.config,
        teacher_temperature=teacher.temperature,
    )
    model['textual_bank']['categories'] = names
    model['visual_bank']['momentum'] = choices.visual_bank.value
    if choices.student_size.value != teacher.image_size:
        model['student_size'] = choices.student_size.value
    return model


def _loader(images: FoundImages, size: int, choices: Choices) -> dict:
    pipeline = _train_pipeline(size, choices.augmentation.value == 'device')
    workers = choices.workers.value
    return dict(
        batch_size=choices.batch.value,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=choices.augmentation.value == 'device',
        drop_last=True,
        collate_fn=dict(type='default_collate'),
        sampler=dict(type='ViewSampler', shuffle=True),
        dataset=dict(
            type='SeededViews',
            dataset=dict(
                images.dataset, **_broken_share(images.count), pipeline=pipeline
            ),
        ),
    )


def _broken_share(images: int) -> dict:
    """Options that allow a few broken images where the default share allows none."""
    if images >= _FEW_BROKEN / _DEFAULT_SHARE:
        return {}
    share = math.ceil(_FEW_BROKEN / images * 1e4) / 1e4
    return dict(max_broken=min(share, 0.5))


def _train_pipeline(size: int, on_device: bool) -> list[dict]:
    """The augmentation of `configs/`, for another crop size."""
    suffix = '_device-aug' if on_device else ''
    base = _base(f'datasets/imagenet_unlabeled{suffix}')
    pipeline = base.train_dataloader.dataset.dataset.to_dict()['pipeline']
    pipeline[0]['scale'] = size
    steps = pipeline[-1].get('transforms', pipeline)
    for step in steps:
        if step['type'] == 'FastGaussianBlur' and size < 224:
            # A blur of the same share of a smaller image.
            step['magnitude_range'] = (0.1, max(0.2, round(2 * size / 224, 2)))
    return pipeline


def _test_pipeline(size: int) -> list[dict]:
    pipeline = _base('datasets/imagenet_unlabeled').to_dict()['test_pipeline']
    pipeline[1]['scale'] = round(size * 256 / 224)
    pipeline[2]['crop_size'] = size
    return pipeline


def _schedule(choices: Choices) -> dict:
    schedule = _base('schedules/sgd_bs2048_200e').to_dict()
    wrapper = schedule['optim_wrapper']
    if choices.precision.value == 'float32':
        wrapper.update(type='OptimWrapper')
        wrapper.pop('dtype')
    else:
        wrapper['dtype'] = choices.precision.value
    wrapper['optimizer']['lr'] = choices.learning_rate.value
    epochs = choices.epochs.value
    # As published, a fortieth; but whole epochs.
    warm_up = min(epochs - 1, max(1, epochs // 40))
    rise, cosine = schedule['param_scheduler']
    rise['end'] = warm_up
    cosine.update(T_max=epochs - warm_up, begin=warm_up, end=epochs)
    return dict(
        optim_wrapper=wrapper,
        param_scheduler=[rise, cosine] if warm_up else [cosine],
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
    )
