# CLIP's ResNet-50, OpenAI's weights: D = 1024, images of 224 x 224.
# `pretrained` also takes a local weight file (`model.teacher.pretrained=...`).
teacher = dict(type='OpenCLIPTeacher', model_name='RN50', pretrained='openai')
# What it has learned, and what the paper takes.
teacher_temperature = 0.01
