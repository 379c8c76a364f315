# imagenet_unlabeled.py with each image paired with one of its nearest neighbours in the
# teacher's embedding space. Compute their list once, before training:
#
#     python tools/build_bags.py configs/baselines/bingo_r50_r18.py \
#         --out data/imagenet/bags_rn50.pth
_base_ = './imagenet_unlabeled.py'

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='BagPairs',
            bags='data/imagenet/bags_rn50.pth',
            dataset=dict(
                type='UnlabeledImages',
                data_root='data/imagenet/train',
                pipeline=_base_.train_pipeline,
            ),
        )
    )
)
