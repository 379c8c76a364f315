_base_ = './r50_mbv3.py'

# One GPU: 8 batches of 256 make the published global batch of 2048. The visual
# bank is updated by each batch of 256, 8 times a step.
optim_wrapper = dict(accumulative_counts=8)
