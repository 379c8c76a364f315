# MobileCLIP2-S4 (Apple, research licence): D = 768, images of 256 x 256, CLIP's mean
# and std, unlike S2. `pretrained` also takes a local weight file.
teacher = dict(
    type='OpenCLIPTeacher', model_name='MobileCLIP2-S4', pretrained='dfndr2b'
)
teacher_temperature = 'auto'
