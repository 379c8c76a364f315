# Language-guided distillation with the published settings; a config adds a teacher
# (`_base_/teachers`) and a student (`_base_/students`).
model = dict(
    type='LGD',
    projector=dict(type='Projector'),
    textual_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
    visual_bank=dict(type='VisualSemanticsBank', momentum=0.999),
    alpha=0.5,
    student_temperature=0.2,
    teacher_temperature=0.01,
)
