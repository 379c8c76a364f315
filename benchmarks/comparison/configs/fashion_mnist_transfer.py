# Transfer with a schedule that is long enough for random weights. For benchmarks.in_memory.
_base_ = './fashion_mnist.py'

title = 'Transfer to the fashion scenes'
# Other scenes than those of the table.
settings = dict(transfer=dict(scenes=dict(seed=1)))
