_base_ = '../../../../configs/_base_/models/bingo.py'

title = 'BINGO'
model = dict(
    # As in SEED.
    queue_size=4096,
    # A run is one epoch, so there is no warm-up over epochs.
    warmup_epochs=0,
)
wrapper = dict(type='BagPairs', bags='')
hooks = [dict(type='BagsHook')]
prepare = dict(
    script='tools/build_bags.py',
    out='bags.pth',
    fills=['train_dataloader.dataset.dataset.bags'],
)
