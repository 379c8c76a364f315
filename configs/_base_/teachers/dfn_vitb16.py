# DFN's ViT-B/16 (Apple): D = 512, images of 224 x 224. It was trained with QuickGELU,
# hence the name. `pretrained` also takes a local weight file.
teacher = dict(
    type='OpenCLIPTeacher', model_name='ViT-B-16-quickgelu', pretrained='dfn2b'
)
teacher_temperature = 'auto'
