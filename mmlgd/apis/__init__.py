"""What a person calls from Python."""

from .load_backbone import load_backbone
from .zero_shot import ZeroShotClassifier

__all__ = ['ZeroShotClassifier', 'load_backbone']
