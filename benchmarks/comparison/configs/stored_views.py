# Effect of training with K stored views per image instead of new views in every epoch.
# LGD on 5,500 images: the iterations are ten epochs instead of one, so the number of
# views matters.
_base_ = './fashion_mnist.py'

title = 'Stored views on 5,500 images of Fashion-MNIST'
train = dict(indices=5500)
evaluations = ['zero_shot', 'knn']
on_request = []
_stored = dict(
    base='lgd',
    teacher=dict(type='StoredTeacher', store=None, teacher=_base_.teacher),
    hooks=[dict(type='StoredViewsHook')],
    prepare=dict(
        script='tools/build_stored_views.py',
        method='online',
        out='views.store',
        arguments=['--views', '10'],
        fills=['model.teacher.store', 'train_dataloader.dataset.store'],
    ),
)
_views = dict(type='StoredViews', store=None)
methods = dict(
    _delete_=True,
    online=dict(base='lgd', title='online teacher'),
    k10=dict(**_stored, title='K = 10', views=dict(**_views, num_views=10)),
    k4=dict(**_stored, title='K = 4', views=dict(**_views, num_views=4)),
    k1=dict(**_stored, title='K = 1', views=dict(**_views, num_views=1)),
)
