_base_ = '../../../_base_/models/lgd.py'

# 0.999 averages over a thousand batches, more than a run of the benchmark has.
model = dict(visual_bank=dict(momentum=0.99))
# Of 0.12, 0.24 and 0.48, the best on the validation images of CIFAR-10.
learning_rate = 0.12
