"""Stored views: what a teacher said of augmented images, computed once and kept."""

from .dataset import StoredViews, ViewStore
from .manifest import Manifest
from .teacher import StoredTeacher

__all__ = ['Manifest', 'StoredTeacher', 'StoredViews', 'ViewStore']
