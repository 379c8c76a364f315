# EVA-02-CLIP's ViT-L/14 (BAAI): D = 768, images of 224 x 224. `pretrained` also takes a
# local weight file.
teacher = dict(
    type='OpenCLIPTeacher', model_name='EVA02-L-14', pretrained='merged2b_s4b_b131k'
)
teacher_temperature = 'auto'
