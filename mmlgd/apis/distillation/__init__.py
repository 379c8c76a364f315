"""Distillation in one call: inputs, settings, config, plan and run."""

from .plan import Estimate
from .run import Distillation, distill

__all__ = ['Distillation', 'Estimate', 'distill']
