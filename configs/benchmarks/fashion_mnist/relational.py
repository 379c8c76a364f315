# Relations say nothing of where the embeddings lie: no names, no zero-shot figure.
_base_ = '../_base_/fashion_mnist.py'

model = dict(
    type='RelationalKD',
    teacher=_base_.teacher,
    **_base_.student,
    projector=dict(type='Projector'),
)
