# Perception Encoder's PE-Core-B/16 (Meta): D = 1024, images of 224 x 224, mean and
# std 0.5, 32 tokens of text. `pretrained` also takes a local weight file.
teacher = dict(type='OpenCLIPTeacher', model_name='PE-Core-B-16', pretrained='meta')
teacher_temperature = 'auto'
