"""Figures of what a distilled student has learned."""

from .cost_figure import draw_costs
from .similarity_figure import draw_similarities

__all__ = ['draw_costs', 'draw_similarities']
