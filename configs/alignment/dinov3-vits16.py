_base_ = ['../_base_/teachers/dinov3_vits16.py', '../_base_/alignment.py']

# As large as the larger model wants: the teacher's 256 pixels.
_base_.dataloader.dataset.dataset.pipeline[1].scale = 256
dataloader = dict(dataset=_base_.dataloader.dataset)
