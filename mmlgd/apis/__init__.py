"""The Python interface: classification, features, export and preparation of teachers."""

from .catalogue import list_category_sets, list_students, list_teachers
from .export import (
    export_backbone,
    export_backbone_onnx,
    export_classifier,
    export_classifier_onnx,
    export_embedding,
)
from .features import build_preprocessor, evaluation_loaders, extract_features
from .load_backbone import load_backbone
from .teacher_features import teacher_features, unlabeled_loader
from .zero_shot import ZeroShotClassifier

__all__ = [
    'ZeroShotClassifier',
    'build_preprocessor',
    'evaluation_loaders',
    'export_backbone',
    'export_backbone_onnx',
    'export_classifier',
    'export_classifier_onnx',
    'export_embedding',
    'extract_features',
    'list_category_sets',
    'list_students',
    'list_teachers',
    'load_backbone',
    'teacher_features',
    'unlabeled_loader',
]
