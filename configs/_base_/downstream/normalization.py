# CLIP's mean and std in RGB order, 0 to 255, under which the students were distilled:
# not ImageNet's, which the stock configs have. BackboneLoadCheckHook replaces them by
# those of the checkpoint, should its teacher have others.
normalization = dict(
    mean=[122.7709383, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.32316305],
)
