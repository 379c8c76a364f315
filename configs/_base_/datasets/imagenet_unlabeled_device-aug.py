# imagenet_unlabeled.py with colours, grayscale and blur changed in batches on the device.
# Workers crop and flip, and draw the parameters of each image. The views have the same
# distribution; docs/input_path.md has the speed.
_base_ = './imagenet_unlabeled.py'

train_pipeline = [
    *(_base_.train_pipeline[step] for step in (0, 4)),
    dict(type='PackForDevice', transforms=_base_.train_pipeline[1:4]),
]

train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
