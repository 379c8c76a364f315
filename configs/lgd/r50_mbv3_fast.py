_base_ = './r50_mbv3.py'

# Compiles the backbone; the first iterations take minutes.
custom_hooks = [*_base_.custom_hooks, dict(type='CompileHook')]
