# The student trained from scratch with the labels of all labelled training images.
title = 'supervised, all labels'
labelled = True
model = dict(
    type='mmpretrain.ImageClassifier',
    head=dict(
        type='mmpretrain.LinearClsHead',
        loss=dict(type='mmpretrain.CrossEntropyLoss'),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[122.7709383, 116.7460125, 104.09373615],
        std=[68.5005327, 66.6321375, 70.3231627],
        to_rgb=True,
    ),
)
# Of 0.015 to 0.48 in steps of two, the best on the validation images of CIFAR-10.
lr = 0.06
# It notes the normalisation.
hooks = [dict(type='BackboneLoadCheckHook', preprocessing='ignore')]
