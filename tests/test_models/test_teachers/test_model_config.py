from pathlib import Path

import pytest
import torch
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models.teachers.model_config import needs_quick_gelu
from mmlgd.models.teachers.open_clip_source import OpenCLIPSource


def decide(**kwargs):
    given = dict(
        model_name='RN50',
        forced=None,
        in_config=False,
        in_tag=False,
        file=None,
        siblings={},
    )
    return needs_quick_gelu(**(given | kwargs))


@pytest.fixture
def state_dict_file(tmp_path):
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / 'w.pt')
    return tmp_path / 'w.pt'


def test_order_of_the_sources_of_quick_gelu(state_dict_file):
    file = state_dict_file
    assert decide() is False
    assert decide(in_config=True) is True
    assert decide(in_tag=True) is True
    assert decide(in_tag=True, forced=False) is False
    assert decide(file=file) is False
    assert decide(file=file, siblings=dict(openai=True, cc12m=True)) is True
    assert decide(file=file, siblings=dict(openai=True, laion=False)) is False
    assert decide(file=file, siblings=dict(openai=True), forced=False) is False


def test_contradiction_is_refused():
    with pytest.raises(ConfigError, match="without '-quickgelu'"):
        decide(model_name='RN50-quickgelu', in_config=True, forced=False)


@pytest.mark.parametrize(
    'model_name, pretrained, name',
    [
        ('RN50', 'openai', 'RN50-quickgelu'),
        ('RN50-quickgelu', 'openai', 'RN50-quickgelu'),
        ('ViT-B-32', 'openai', 'ViT-B-32-quickgelu'),
        ('ViT-B-32', 'laion2b_s34b_b79k', 'ViT-B-32'),
        ('ViT-B-32', 'laion2b-s34b-b79k', 'ViT-B-32'),
        ('RN50', None, 'RN50'),
    ],
)
def test_tags_decide_without_a_download(model_name, pretrained, name):
    assert OpenCLIPSource(model_name, pretrained, None, None).name == name


def test_a_file_takes_its_siblings_normalisation(state_dict_file):
    file = str(state_dict_file)
    siglip = OpenCLIPSource('ViT-B-16-SigLIP', file, None, None)
    clip = OpenCLIPSource('RN50', file, None, None)

    half = (0.5, 0.5, 0.5)
    assert siglip._published_preprocessing() == dict(mean=half, std=half)
    assert clip._published_preprocessing()['mean'][0] == 0.48145466
    assert Path(file).name == clip.label
