# Target and images of tools/align_teacher.py: CLIP's ResNet-50, and 100,000 images of
# ImageNet-1k without labels. A config adds `teacher` (`_base_/teachers`). Crops are
# those of the distillation, without colour jitter. Both passes over the data see the
# same views.
target = dict(type='OpenCLIPTeacher', model_name='RN50', pretrained='openai')

dataloader = dict(
    batch_size=256,
    num_workers=8,
    pin_memory=True,
    dataset=dict(
        type='SeededViews',
        dataset=dict(
            type='UnlabeledImages',
            data_root='data/imagenet/train',
            # A broken image must not be replaced: the replacement might be a held-out
            # image.
            test_mode=True,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmpretrain.RandomResizedCrop',
                    scale=224,
                    crop_ratio_range=(0.2, 1.0),
                    interpolation='bilinear',
                    backend='pillow',
                ),
                dict(type='RandomFlip', prob=0.5),
                dict(type='mmpretrain.PackInputs'),
            ],
        ),
    ),
)

# Strengths are relative to the mean eigenvalue of the features' scatter matrix.
alignment = dict(
    strengths=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    held_out=0.05,
    num_images=100_000,
    seed=0,
)
