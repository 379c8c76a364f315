_base_ = ['../_base_/methods/bingo.py', '../_base_/fashion_mnist.py']

model = dict(
    teacher=_base_.teacher,
    **_base_.student,
    zero_shot_bank=dict(categories=_base_.categories),
)

# The bags are prepared by tools/benchmarks/compare_methods.py, which fills in the file.
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True, type='BagPairs', bags='', dataset=_base_.train_dataset
        )
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type='BagsHook')]
