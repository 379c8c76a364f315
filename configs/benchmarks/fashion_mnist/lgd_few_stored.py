# lgd_few.py from stored views; the benchmark fills in where they lie.
_base_ = './lgd_few.py'

model = dict(
    teacher=dict(
        _delete_=True, type='StoredTeacher', store=None, teacher=_base_.teacher
    )
)
train_dataloader = dict(dataset=dict(type='StoredViews', store=None))
custom_hooks = [*_base_.custom_hooks, dict(type='StoredViewsHook')]
