# MobileCLIP2-S2 (Apple, research licence): D = 512, images of 256 x 256 of 0 to 1, that
# is mean 0 and std 1. `pretrained` also takes a local weight file.
teacher = dict(
    type='OpenCLIPTeacher', model_name='MobileCLIP2-S2', pretrained='dfndr2b'
)
teacher_temperature = 'auto'
