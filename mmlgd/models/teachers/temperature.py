"""The learned temperature of a CLIP."""

import math

from mmengine.logging import print_log

from mmlgd.errors import ConfigError, TeacherError

from .base import BaseTeacher


def learned_temperature(teacher: BaseTeacher, place: str) -> float:
    """Return and log 1 / exp(logit_scale), for a softmax over similarities.

    CLIP is trained with softmax(exp(logit_scale) x) over similarities x. SigLIP is
    trained with sigmoid(exp(logit_scale) x + logit_bias). A common bias does not change
    the softmax over names, so it is ignored.

    Args:
        teacher (BaseTeacher): The teacher with the scale.
        place (str): Name of the option, for the message.

    Raises:
        ConfigError: The teacher has not learned a scale.
        TeacherError: Its scale is out of the plausible range.
    """
    if teacher.logit_scale is None:
        raise ConfigError(
            f"{place} is 'auto', but the teacher ({teacher.identity}) has not learned a "
            'scale of similarities. Set it to a number: 0.01 suits most CLIPs, and '
            '`mmlgd teacher-temperature CONFIG` compares several on your images.'
        )
    if not -10 <= teacher.logit_scale <= 20:
        raise TeacherError(
            f'The logit_scale of the teacher ({teacher.identity}) is '
            f'{teacher.logit_scale}, which is implausible: its weight file is broken. '
            f'Copy it again, or set {place} to a number.'
        )
    temperature = math.exp(-teacher.logit_scale)
    print_log(
        f"{place}='auto' is {temperature:.6g}, 1 / exp(logit_scale) of the teacher.",
        'current',
    )
    return temperature
