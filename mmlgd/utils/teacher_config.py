"""The configs of a model's teachers."""


def teacher_configs(model: dict) -> list[dict]:
    """Configs of a model's teachers, that of language first; [] if there is none.

    Args:
        model (dict): Config of a model, with ``teacher``, or with ``teachers`` as for a
            ``MultiTeacherLGD``.
    """
    entries = [
        entry for entry in model.get('teachers') or [] if isinstance(entry, dict)
    ]
    if entries:
        # The config of a StoredTeacher has a teacher, too.
        return [one if 'type' in one else one.get('teacher') or one for one in entries]
    return [model['teacher']] if model.get('teacher') else []
