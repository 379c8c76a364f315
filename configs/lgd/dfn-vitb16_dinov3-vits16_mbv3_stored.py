# dfn-vitb16_dinov3-vits16_mbv3.py with the stored embeddings of both teachers. Before
# training:
#
#     python tools/build_stored_views.py configs/lgd/dfn-vitb16_dinov3-vits16_mbv3.py \
#         --views 10 --out data/imagenet/views_dfn-vitb16_dinov3-vits16
_base_ = './dfn-vitb16_dinov3-vits16_mbv3.py'

store = 'data/imagenet/views_dfn-vitb16_dinov3-vits16'
model = dict(
    teachers=[
        dict(type='StoredTeacher', store=store, teacher=_base_.teacher),
        dict(
            teacher=dict(
                type='StoredTeacher',
                store=store,
                teacher=_base_.further_teacher,
                position=1,
            ),
            weight=1.0,
            target='features',
        ),
    ]
)
train_dataloader = dict(dataset=dict(type='StoredViews', store=store))
custom_hooks = [*_base_.custom_hooks, dict(type='StoredViewsHook')]
