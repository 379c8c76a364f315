# Caltech-256 with the split of tools/dataset_converters/caltech256.py: 60 training
# images per class, the rest for testing. A config adds a pipeline.
caltech256 = dict(
    type='mmpretrain.CustomDataset',
    data_root='data/caltech256',
    data_prefix='256_ObjectCategories',
    classes='data/caltech256/meta/names.txt',
)
caltech256_train = dict(**caltech256, ann_file='meta/train.txt')
caltech256_test = dict(**caltech256, ann_file='meta/test.txt')
