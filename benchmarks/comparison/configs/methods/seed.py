_base_ = '../../../../configs/_base_/models/seed.py'

title = 'SEED'
# The published queue of 65,536 rows would never fill: a run has 55,040 images.
model = dict(queue_size=4096)
