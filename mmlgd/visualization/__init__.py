"""Pictures of what a distilled student has learned."""

from .similarity_figure import draw_similarities

__all__ = ['draw_similarities']
