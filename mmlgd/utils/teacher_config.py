"""The config of the teacher whose text guides."""


def language_teacher_config(model: dict) -> dict | None:
    """Config of a model's teacher; the first of several. None if there is none.

    Args:
        model (dict): Config of a model, with ``teacher`` or ``teachers``.
    """
    teachers = model.get('teachers') or [None]
    return model.get('teacher') or teachers[0]
