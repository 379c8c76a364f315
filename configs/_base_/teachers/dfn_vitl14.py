# DFN's ViT-L/14 (Apple): D = 768, images of 224 x 224. It was trained with QuickGELU,
# hence the name; the later tag `dfn2b_s39b` was not, and belongs to `ViT-L-14`.
# `pretrained` also takes a local weight file.
teacher = dict(
    type='OpenCLIPTeacher', model_name='ViT-L-14-quickgelu', pretrained='dfn2b'
)
# MobileCLIP2's authors, who distil from two such models, found scales of 60 and 70
# better than the 100 that was learned: temperatures of 0.017 and 0.014.
teacher_temperature = 0.015
