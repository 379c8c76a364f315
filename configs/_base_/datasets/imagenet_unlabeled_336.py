# imagenet_unlabeled.py for a teacher with images of 336 pixels. A smaller student sees the
# same crops through `model.student_size`.
_base_ = './imagenet_unlabeled.py'

train_pipeline = _base_.train_pipeline
train_pipeline[0].scale = 336
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = 384
test_pipeline[2].crop_size = 336

train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
