# A thousand random words instead of the category names, written by
# tools/dataset_converters/write_random_names.py. Validation uses the true names.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(
    textual_bank=dict(categories='{{ fileDirname }}/random_names_1000.txt'),
    zero_shot_bank=dict(
        type='TextualSemanticsBank', categories='imagenet', templates='imagenet'
    ),
)
