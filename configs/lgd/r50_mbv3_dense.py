# r50_mbv3.py with a dense loss term, for detection and segmentation backbones. It was
# only evaluated at small scale: docs/methods.md.
_base_ = './r50_mbv3.py'

model = dict(type='DenseLGD')
