"""Backbones that mmpretrain does not have, or not with all that a task needs."""

from .timm_backbone import TIMMBackbone, check_timm_name

__all__ = ['TIMMBackbone', 'check_timm_name']
