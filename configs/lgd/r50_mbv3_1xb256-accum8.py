_base_ = './r50_mbv3.py'

# One GPU: gradients of 8 batches of 256 are accumulated to the published batch size of
# 2048. The visual bank is updated with each batch of 256, 8 times per step.
optim_wrapper = dict(accumulative_counts=8)
