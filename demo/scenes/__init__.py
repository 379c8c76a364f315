"""Scenes composed of Fashion-MNIST items, for detection and segmentation."""

from .compose import Instance, Scene, compose_scene
from .formats import ITEM_CLASSES, SCENE_CLASSES, label_map
from .settings import SceneSettings
from .write import prepare_fashion_scenes

__all__ = [
    'ITEM_CLASSES',
    'SCENE_CLASSES',
    'Instance',
    'Scene',
    'SceneSettings',
    'compose_scene',
    'label_map',
    'prepare_fashion_scenes',
]
