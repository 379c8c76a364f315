"""Stored views: what a teacher said of augmented images, computed once and kept."""

from .dataset import StoredViews
from .manifest import Manifest
from .reader import ViewStore
from .teacher import StoredTeacher, StoredViewsHook

__all__ = ['Manifest', 'StoredTeacher', 'StoredViews', 'StoredViewsHook', 'ViewStore']
