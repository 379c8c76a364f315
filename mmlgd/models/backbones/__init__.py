"""Backbones that mmpretrain lacks, or extends here with further options."""

from .timm_backbone import TIMMBackbone, check_timm_name

__all__ = ['TIMMBackbone', 'check_timm_name']
