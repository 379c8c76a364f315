# Relations say nothing of where the embeddings lie: no names, no zero-shot figure.
_base_ = '../_base_/fashion_mnist.py'

model = dict(
    type='RelationalKD',
    teacher=_base_.teacher,
    **_base_.student,
    projector=dict(type='Projector'),
)

# Of 0.12, 0.24 and 0.48, the best on the validation images of CIFAR-10.
optim_wrapper = dict(optimizer=dict(lr=0.12))
