_base_ = [
    './mobilenetv4_conv_small_linear_8xb32-100e_in1k.py',
    '../_base_/datasets/caltech256.py',
]

model = dict(head=dict(num_classes=256))
data_preprocessor = dict(num_classes=256)
train_dataloader = dict(
    dataset=dict(
        _delete_=True, **_base_.caltech256_train, pipeline=_base_.train_pipeline
    )
)
val_dataloader = dict(
    dataset=dict(_delete_=True, **_base_.caltech256_test, pipeline=_base_.test_pipeline)
)
test_dataloader = val_dataloader
