_base_ = ['../_base_/methods/supervised.py', '../_base_/fashion_mnist.py']

model = _base_.student
custom_hooks = _base_.supervised_hooks
