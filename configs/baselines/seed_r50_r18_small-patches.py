# SEED's variant with six small patches of each image, cropped and resized as for its
# SwAV teachers. CLIP's RN50 only accepts 224 x 224, so it sees each patch enlarged,
# while the student sees 96 x 96.
_base_ = ['seed_r50_r18.py']

num_patches = 6
model = dict(num_patches=num_patches)

crop, *augment, pack = _base_.train_pipeline
full_view = [dict(crop, crop_ratio_range=(0.14, 1.0)), *augment]
small_patch = [dict(crop, scale=96, crop_ratio_range=(0.05, 0.14)), *augment]
train_pipeline = [
    # Read once for all crops; otherwise each would read the file.
    dict(type='LoadImageFromFile'),
    dict(
        type='mmpretrain.MultiView',
        num_views=[1, num_patches],
        transforms=[full_view, small_patch],
    ),
    pack,
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
