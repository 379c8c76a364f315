_base_ = 'mmseg::_base_/default_runtime.py'

# Stops the run unless every tensor of the checkpoint is loaded into the backbone; takes
# mean and std from the checkpoint.
custom_hooks = [
    dict(type='mmlgd.BackboneLoadCheckHook', preprocessing='take'),
    dict(type='mmlgd.DatasetCheckHook'),
]
