"""Pictures of what a distilled student has learned."""

from .scene_figure import draw_detections, draw_segmentations
from .similarity_figure import draw_similarities

__all__ = ['draw_detections', 'draw_segmentations', 'draw_similarities']
