from .category_names import (
    available_category_sets,
    available_template_sets,
    load_category_names,
    load_templates,
)
from .seeded_views import SeededViews
from .unlabeled import UnlabeledImages
from .view_sampler import ViewSampler

__all__ = [
    'SeededViews',
    'UnlabeledImages',
    'ViewSampler',
    'available_category_sets',
    'available_template_sets',
    'load_category_names',
    'load_templates',
]
