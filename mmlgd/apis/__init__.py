"""The Python interface: classification, features, export and preparation of teachers.

Its functions are imported at their first use, so that a module of this package which needs
no network library can be imported alone. No module has the name of a function, since an
import of the module would hide it.
"""

import sys

from mmlgd.utils.lazy import lazy_attributes

#: Name to the module that has it.
_LAZY = {
    'ZeroShotClassifier': '.zero_shot',
    'build_preprocessor': '.features',
    'evaluation_loaders': '.features',
    'export_backbone': '.export',
    'export_backbone_onnx': '.export',
    'export_classifier': '.export',
    'export_classifier_onnx': '.export',
    'export_embedding': '.export',
    'extract_features': '.features',
    'list_category_sets': '.catalogue',
    'list_students': '.catalogue',
    'list_teachers': '.catalogue',
    'load_backbone': '.loading',
    'teacher_features': '.unlabeled',
    'unlabeled_loader': '.unlabeled',
}

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

__getattr__, __dir__ = lazy_attributes(sys.modules[__name__], _LAZY)
