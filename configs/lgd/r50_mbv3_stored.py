# r50_mbv3.py with stored teacher embeddings. Before training:
#
#     python tools/build_stored_views.py configs/lgd/r50_mbv3.py --views 10 \
#         --out data/imagenet/views_rn50
#
# All students trained on the same views can use the store.
_base_ = './r50_mbv3.py'

store = 'data/imagenet/views_rn50'
model = dict(
    teacher=dict(
        _delete_=True, type='StoredTeacher', store=store, teacher=_base_.teacher
    )
)
train_dataloader = dict(dataset=dict(type='StoredViews', store=store))
custom_hooks = [*_base_.custom_hooks, dict(type='StoredViewsHook')]
