from .bag_pairs import BagPairs
from .bags import Bags, image_list_digest
from .category_names import (
    available_category_sets,
    available_template_sets,
    load_category_names,
    load_templates,
)
from .neighbours import check_neighbour_count, nearest_neighbours
from .seeded_views import SeededViews
from .shards import UnlabeledShards
from .unlabeled import UnlabeledImages
from .view_sampler import ViewSampler

__all__ = [
    'BagPairs',
    'Bags',
    'SeededViews',
    'UnlabeledImages',
    'UnlabeledShards',
    'ViewSampler',
    'available_category_sets',
    'available_template_sets',
    'check_neighbour_count',
    'image_list_digest',
    'load_category_names',
    'load_templates',
    'nearest_neighbours',
]
