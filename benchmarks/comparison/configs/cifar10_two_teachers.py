# A second teacher of features beside the CLIP, trained with labels by
# `python -m benchmarks.supervised_teacher benchmarks/comparison/configs/cifar10.py \
#     --out work_dirs/benchmarks/cifar10_supervised.pth`.
_base_ = './cifar10.py'

title = 'One and two teachers on CIFAR-10'
_clip = dict(
    image_mean=(122.7709383, 116.7460125, 104.09373615),
    image_std=(68.5005327, 66.6321579, 70.32316305),
)
_supervised = dict(
    type='MMPretrainTeacher',
    backbone=dict(
        type='mmpretrain.ResNet_CIFAR', depth=18, base_channels=16, strides=(2, 2, 2, 1)
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    checkpoint='work_dirs/benchmarks/cifar10_supervised.pth',
    image_size=32,
    **_clip,
)
_bank = dict(type='TextualSemanticsBank', categories='', templates='imagenet')


def _two(title: str, **options) -> dict:
    return dict(
        base='lgd',
        title=title,
        model=dict(
            type='MultiTeacherLGD',
            teachers=[dict(teacher=_supervised, **options)],
            projector=dict(type='Projector'),
            textual_bank=_bank,
            visual_bank=dict(type='VisualSemanticsBank', momentum=0.99),
            zero_shot_bank=_bank,
        ),
        hooks=[dict(type='FeatureStatisticsHook')],
    )


methods = dict(
    _delete_=True,
    lgd={},
    lgd_plus={},
    two=_two('LGD, two teachers'),
    two_weak=_two('LGD, two teachers, weight 0.3', weight=0.3),
)
del _two
