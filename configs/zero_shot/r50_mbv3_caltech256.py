_base_ = ['../lgd/r50_mbv3.py', '../_base_/datasets/caltech256.py']

model = dict(
    zero_shot_bank=dict(type='TextualSemanticsBank', categories='caltech256'),
    predict_teacher=False,
)
test_dataloader = dict(
    dataset=dict(_delete_=True, **_base_.caltech256_test, pipeline=_base_.test_pipeline)
)
