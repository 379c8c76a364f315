_base_ = './r50_mbv3.py'

# COCO's 80 names guide the distillation; validation runs on ImageNet, with ImageNet's
# names.
model = dict(
    textual_bank=dict(categories='coco'),
    zero_shot_bank=dict(type='TextualSemanticsBank', categories='imagenet'),
)
