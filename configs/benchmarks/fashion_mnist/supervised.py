_base_ = ['../_base_/methods/supervised.py', '../_base_/fashion_mnist.py']

model = _base_.student
custom_hooks = _base_.supervised_hooks
optim_wrapper = dict(optimizer=dict(lr=_base_.learning_rate))
