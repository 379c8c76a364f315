# The demo's student as a teacher without text: its 576 features are mapped into the
# embedding space of the demo's CLIP, on the demo's 8,000 images. Run `make demo` first,
# which writes the backbone. python tools/align_teacher.py
# configs/demo/align_mbv3_small.py
image_size = 64

teacher = dict(
    type='MMPretrainTeacher',
    backbone=dict(
        type='mmpretrain.MobileNetV3',
        arch='small',
        norm_cfg=dict(type='BN', eps=1e-3),
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    checkpoint='work_dirs/demo/backbone.pth',
    # It was distilled with CLIP's.
    image_mean=[122.7709383, 116.7460125, 104.09373615],
    image_std=[68.5005327, 66.6321579, 70.32316305],
    image_size=image_size,
)
target = dict(
    type='OpenCLIPTeacher',
    model_name='fashion-clip',
    model_config='demo/teacher/fashion-clip.json',
    pretrained='demo/teacher/fashion-clip.pt',
)
dataloader = dict(
    batch_size=200,
    num_workers=0,
    dataset=dict(
        type='mmpretrain.FashionMNIST',
        data_root='work_dirs/demo/data',
        split='train',
        pipeline=[
            dict(type='GrayToBGR'),
            dict(
                type='Resize', scale=(image_size, image_size), interpolation='bilinear'
            ),
            dict(type='mmpretrain.PackInputs'),
        ],
    ),
)
alignment = dict(held_out=0.1)
