# What might make LGD better, on the validation images and with seeds that the
# comparison does not use.
_base_ = './cifar10.py'

name = 'cifar10_candidates'
title = 'Candidates for a better LGD on CIFAR-10'
split = 'val'
seeds = [100, 101]
evaluations = ['zero_shot', 'probe', 'knn']

config = 'cifar10/lgd.py'
plus = {'model.type': 'LGDPlus', 'model.mimicry_weight': 0.0}
templates = 'model.textual_bank.templates'
names = [
    *('airplane', 'automobile', 'bird', 'cat', 'deer'),
    *('dog', 'frog', 'horse', 'ship', 'truck'),
]
methods = dict(
    _delete_=True,
    lgd=dict(title='LGD', config=config),
    queue=dict(
        title="+ SEED's queue, weight 1",
        config=config,
        options={**plus, 'model.queue_weight': 1.0, 'model.queue_size': 4096},
    ),
    centred=dict(
        title='+ centred mimicry, weight 1',
        config=config,
        options={**plus, 'model.mimicry_weight': 1.0, 'model.centred_mimicry': True},
    ),
    temperature=dict(
        title='learned temperature',
        config=config,
        options={**plus, 'model.learned_temperature': True},
    ),
    task_prompts=dict(
        title='prompts for the task',
        config=config,
        options={
            templates: [
                f'a {kind} photo of {article} {{}}.'
                for kind in ('low resolution', 'blurry', 'pixelated', 'small')
                for article in ('a', 'the')
            ]
        },
    ),
    apart=dict(
        title='an anchor for each of 7 prompts',
        config=config,
        options={
            templates: ['{}'],
            'model.textual_bank.categories': [
                f'{begin} {name}{end}.'
                for begin, end in (
                    *(('itap of a', ''), ('a bad photo of the', '')),
                    *(('a origami', ''), ('a photo of the large', '')),
                    *(('a', ' in a video game'), ('art of the', '')),
                    ('a photo of the small', ''),
                )
                for name in names
            ],
        },
    ),
)
