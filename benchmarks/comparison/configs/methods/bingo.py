_base_ = '../../../_base_/models/bingo.py'

model = dict(
    # As SEED's.
    queue_size=4096,
    # A run has one pass over the data: no epochs to warm up in.
    warmup_epochs=0,
)
