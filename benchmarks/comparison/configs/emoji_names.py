# What names are worth: LGD on emoji, guided by names that fit the 68 classes more or less.
# Zero-shot classification is always among the classes.
_base_ = './emoji.py'

title = 'Names that guide LGD on emoji'
work_dir = 'work_dirs/benchmarks/emoji'
_names = dict(
    lgd=('the 68 classes', None),
    coarser=(
        "coarser: Unicode's 9 groups",
        [
            *('face', 'person', 'animal', 'food', 'travel', 'activity', 'object'),
            *('symbol', 'flag'),
        ],
    ),
    finer=('finer: the 1,895 emoji', 'demo/data/emoji/names.txt'),
    other=('of other images: the 10 of CIFAR-10', 'cifar10'),
    imagenet=("ImageNet's 1,000", 'imagenet'),
    meaningless=(
        '1,000 words without meaning',
        'configs/ablations/random_names_1000.txt',
    ),
)
methods = dict(
    _delete_=True,
    **{
        name: dict(
            base='lgd',
            title=title,
            options={'model.textual_bank.categories': names} if names else {},
        )
        for name, (title, names) in _names.items()
    },
    lgd_plus=dict(title='the 68 classes, LGDPlus'),
    # Without names.
    seed={},
    mimicry={},
)
