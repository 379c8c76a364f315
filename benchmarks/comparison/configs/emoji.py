# Emoji of 64 pixels in five designs (demo/emoji.py): students are trained on three of them
# and tested on another, made by other artists. The 68 classes are long-tailed. The teacher
# knows names and keywords of each emoji, and no classes. All settings are those of the
# other benchmarks; none was chosen on these images. 440 iterations are eleven passes.
_base_ = './_base_/student.py'

title = 'Methods on emoji'
_data_root = 'data/emoji'
prepare = dict(function='demo.emoji.prepare_emoji', out_dir=_data_root)
_emoji = dict(type='mmpretrain.CustomDataset', data_root=_data_root)
train = dict(**_emoji, ann_file='meta/train.txt')
val = dict(**_emoji, ann_file='meta/val.txt')
test = dict(**_emoji, ann_file='meta/test.txt')
names = 'demo/data/emoji/classes.txt'
# Like the captions, which have no prompt.
templates = ['{}']
teacher = dict(
    type='OpenCLIPTeacher',
    model_name='emoji-clip',
    model_config='demo/teacher/emoji-clip.json',
    pretrained='demo/teacher/emoji-clip.pt',
)
image_size = 64
iterations = 440
methods = dict(
    teacher=dict(title='teacher (small CLIP)'),
    lgd={},
    lgd_dense=dict(base='dense_lgd'),
    lgd_plus={},
    seed={},
    bingo={},
    mimicry={},
    supervised={},
    untrained={},
)
