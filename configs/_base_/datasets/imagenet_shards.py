# ImageNet-1k's training images in tar shards, data/imagenet_shards/*.tar; validation as
# in imagenet_unlabeled.py. docs/shards.md has the commands that write the shards, and
# the options for shards behind http(s) or S3.
_base_ = './imagenet_unlabeled.py'

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='UnlabeledShards',
            data_root='data/imagenet_shards',
            shards='*.tar',
            pipeline=_base_.train_pipeline,
        )
    )
)
