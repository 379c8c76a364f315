"""Leaving mmlgd: a student's weights and graph in the formats of other programs.

Each module of :mod:`mmlgd.export.formats` is a format. From a checkpoint, see
:func:`mmlgd.apis.export_backbone`.
"""

from .model import ExportModel
from .registry import Exported, ExportFormat, export_model, find_format, format_names

__all__ = [
    'ExportFormat',
    'ExportModel',
    'Exported',
    'export_model',
    'find_format',
    'format_names',
]
