"""Exporters: a student's weights and graph in the formats of other libraries.

Each module of :mod:`mmlgd.export.formats` is one format.
:func:`mmlgd.apis.export_backbone` exports from a checkpoint.
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
