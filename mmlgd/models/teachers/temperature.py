"""The temperature that a CLIP has learned."""

import math

from mmengine.logging import print_log

from mmlgd.errors import ConfigError, TeacherError

from .base import BaseTeacher


def learned_temperature(teacher: BaseTeacher, place: str) -> float:
    """1 / exp(logit_scale), for a softmax over the teacher's similarities; logged.

    A CLIP was trained with softmax(exp(logit_scale) x) over similarities x. SigLIP was
    trained with sigmoid(exp(logit_scale) x + logit_bias); one bias for all names leaves
    their softmax as it is, so it is left out.

    Args:
        teacher (BaseTeacher): Whose scale it is.
        place (str): The option that asks, for the message.

    Raises:
        ConfigError: The teacher has not learned a scale.
        TeacherError: Its scale is not a usable number.
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
            f'{teacher.logit_scale}, which no training gives: its weight file is broken. '
            f'Copy it again, or set {place} to a number.'
        )
    temperature = math.exp(-teacher.logit_scale)
    print_log(
        f"{place}='auto' is {temperature:.6g}, 1 / exp(logit_scale) of the teacher.",
        'current',
    )
    return temperature
