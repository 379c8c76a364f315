# Perception Encoder's PE-Core-L/14 (Meta): D = 1024, images of 336 x 336, mean and
# std 0.5, 32 tokens of text. `pretrained` also takes a local weight file.
teacher = dict(type='OpenCLIPTeacher', model_name='PE-Core-L-14-336', pretrained='meta')
teacher_temperature = 'auto'
