# How long detectors and segmentors need on the fashion scenes until random weights no longer
# gain from a longer training. The scenes have another seed than those of the reported figures.
# For benchmarks.in_memory:
#     python -m benchmarks.in_memory \
#         benchmarks/comparison/configs/fashion_mnist_transfer_length.py --seeds 100 \
#         --transfer detection segmentation --transfer-iterations 400
_base_ = './fashion_mnist.py'

title = 'Length of transfer on the fashion scenes'
methods = dict(_delete_=True, untrained={})
settings = dict(transfer=dict(scenes=dict(seed=1)))
