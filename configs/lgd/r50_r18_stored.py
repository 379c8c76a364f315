# r50_r18.py from views that the teacher has embedded once. Before training:
#
#     python tools/build_stored_views.py configs/lgd/r50_r18.py --views 10 \
#         --out data/imagenet/views_rn50
#
# The store serves every student that sees the same views.
_base_ = './r50_r18.py'

store = 'data/imagenet/views_rn50'
model = dict(
    teacher=dict(
        _delete_=True, type='StoredTeacher', store=store, teacher=_base_.teacher
    )
)
train_dataloader = dict(dataset=dict(type='StoredViews', store=store))
custom_hooks = [*_base_.custom_hooks, dict(type='StoredViewsHook')]
