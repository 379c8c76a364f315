# CLIP's mean and std in RGB order, 0 to 255, as used in the distillation, instead of
# ImageNet's in the base configs. If the teacher has others, BackboneLoadCheckHook
# replaces them with those of the checkpoint.
normalization = dict(
    mean=[122.7709383, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.32316305],
)
