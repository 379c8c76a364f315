"""Helpers of several tests: a CLIP that is small enough to build in every test."""

from pathlib import Path

from mmlgd.models.teachers import OpenCLIPTeacher

TINY_CLIP = 'rn_tiny'


def tiny_clip_config_path() -> str:
    """The open_clip JSON of a ModifiedResNet: 64 px, D = 32, 1.9 M parameters."""
    return str(Path(__file__).parent / 'data' / f'{TINY_CLIP}.json')


def tiny_teacher_cfg(**overrides) -> dict:
    """Config of a teacher with random weights, for ``MODELS.build`` and configs."""
    return dict(
        type='OpenCLIPTeacher',
        model_name=TINY_CLIP,
        pretrained=None,
        model_config=tiny_clip_config_path(),
        **overrides,
    )


def tiny_teacher(pretrained: str | None = None, **overrides) -> OpenCLIPTeacher:
    """A teacher of the tiny CLIP, with random weights or those of a local file."""
    return OpenCLIPTeacher(
        model_name=TINY_CLIP,
        pretrained=pretrained,
        model_config=tiny_clip_config_path(),
        **overrides,
    )
