# r50_mbv3.py with a term for places: for backbones that go into detection and
# segmentation. What it brings was measured at small scale only: docs/methods.md.
_base_ = './r50_mbv3.py'

model = dict(type='DenseLGD')
