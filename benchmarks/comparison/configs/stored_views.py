# What it costs to learn from K stored views of an image instead of ever new ones.
_base_ = './fashion_mnist.py'

name = 'stored_views'
title = 'Stored views on 5,500 images of Fashion-MNIST'
evaluations = ['zero_shot', 'knn']
default_evaluations = evaluations

config = 'fashion_mnist/lgd_few_stored.py'
prepare = dict(
    name='views',
    suffix='.store',
    script='tools/build_stored_views.py',
    config='fashion_mnist/lgd_few.py',
    arguments=['--views', '10'],
    options=['model.teacher.store', 'train_dataloader.dataset.store'],
)
views = 'train_dataloader.dataset.num_views'
methods = dict(
    _delete_=True,
    online=dict(title='online teacher', config='fashion_mnist/lgd_few.py'),
    k10=dict(title='K = 10', config=config, prepare=prepare, options={views: 10}),
    k4=dict(title='K = 4', config=config, prepare=prepare, options={views: 4}),
    k1=dict(title='K = 1', config=config, prepare=prepare, options={views: 1}),
)
