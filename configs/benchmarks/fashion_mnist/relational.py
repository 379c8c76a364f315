_base_ = ['../_base_/methods/relational.py', '../_base_/fashion_mnist.py']

model = dict(teacher=_base_.teacher, **_base_.student)
optim_wrapper = dict(optimizer=dict(lr=_base_.learning_rate))
