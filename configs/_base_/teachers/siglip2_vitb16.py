# SigLIP 2's ViT-B/16 (Google): D = 768, images of 256 x 256, mean and std 0.5.
# Its tokenizer comes from a hub and needs transformers; without network, set
# `tokenizer` to a local folder of it (docs/teachers.md). `pretrained` also takes a local
# weight file.
teacher = dict(
    type='OpenCLIPTeacher', model_name='ViT-B-16-SigLIP2-256', pretrained='webli'
)
# Its scale alone: the bias beside it changes no softmax.
teacher_temperature = 'auto'
