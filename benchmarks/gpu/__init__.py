"""The rows of the GPU acceptance kit (``python -m benchmarks.gpu_acceptance``)."""
