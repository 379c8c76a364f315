"""Damaged and hostile checkpoints: a correct result or an mmlgd error."""

import functools
import io
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.model import BaseModule
from torch import nn

from mmlgd.apis import ZeroShotClassifier, load_backbone
from mmlgd.errors import MMLGDError
from mmlgd.models.necks import Projector
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.config_text import read_config_text
from tests.toys import D, ToyBackbone


@functools.cache
def good() -> dict:
    """A training checkpoint of the toys, written by hand."""
    torch.manual_seed(0)
    state = {f'backbone.{k}': v for k, v in ToyBackbone().state_dict().items()}
    projector = Projector(12, D).state_dict()
    state.update({f'projector.{k}': v for k, v in projector.items()})
    state['textual_bank.embeddings'] = torch.eye(D)[:2]
    meta = dict(
        mmlgd_version='0.2.0',
        teacher='ToyTeacher#0123abcd',
        teacher_config=dict(type='ToyTeacher'),
        category_names=['cat', 'dog'],
        image_mean=[1.0, 2.0, 3.0],
        image_std=[4.0, 5.0, 6.0],
        image_size=16,
        to_rgb=True,
        default_scope='mmlgd',
        backbone=dict(type='ToyBackbone'),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        projector=dict(type='Projector', in_channels=12, out_channels=D),
        student_temperature=0.2,
        teacher_temperature=0.01,
        test_pipeline=[dict(type='mmpretrain.PackInputs')],
        cfg="default_scope = 'mmlgd'\n",
    )
    return dict(state_dict=state, meta=meta)


def use(contents: object) -> None:
    """Runs all readers of a checkpoint; only mmlgd errors are allowed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'x.pth'
        if isinstance(contents, bytes):
            path.write_bytes(contents)
        else:
            torch.save(contents, path)
        for read in (load_backbone, ZeroShotClassifier):
            try:
                found = read(path)
            except MMLGDError as error:
                assert 'x.pth' in str(error)
                continue
            assert isinstance(found, (nn.Module, ZeroShotClassifier))


NAMES = (
    *('ToyBackbone', 'mmlgd.ToyBackbone', 'Projector', 'mmpretrain.ResNet', 'BN'),
    *('os.system', 'exec', 'antigravity', 'mmpretrain.', '.x', '', 'torch.nn.Linear'),
    *('mmlgd.OpenCLIPTeacher', 'Pretrained', 'ToyTeacher', 'mmpretrain.PackInputs'),
)
KEYS = st.sampled_from(
    ('type', '_scope_', 'init_cfg', 'width', 'checkpoint', 'model_name', 'pretrained')
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(NAMES),
    st.just('http://host/x'),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)


def test_the_good_checkpoint_is_good():
    use(good())
    buffer = io.BytesIO()
    torch.save(good(), buffer)
    buffer.seek(0)
    assert CheckpointMeta.from_meta(good()['meta'], 'x').image_size == 16


@given(
    name=st.sampled_from(sorted(good()['meta'])),
    value=VALUES,
    inside=st.booleans(),
    key=KEYS,
)
def test_mutated_meta(name, value, inside, key):
    meta = dict(good()['meta'])
    if inside and isinstance(meta[name], dict):
        value = {**meta[name], key: value}
    meta[name] = value
    use(dict(good(), meta=meta))


@given(meta=VALUES, state=VALUES)
def test_contents_of_any_kind(meta, state):
    use(dict(state_dict=state, meta=meta))
    use(meta)


@given(
    key=st.sampled_from(sorted(good()['state_dict'])),
    value=st.one_of(
        VALUES,
        st.sampled_from(
            [
                torch.zeros(()),
                torch.zeros(0),
                torch.ones(2, 3, dtype=torch.complex64),
                torch.ones(2, 16, dtype=torch.int8),
                torch.full((2, D), float('nan')),
                torch.eye(3).to_sparse(),
                torch.zeros(3, D),
            ]
        ),
    ),
)
def test_mutated_state(key, value):
    use(dict(good(), state_dict={**good()['state_dict'], key: value}))


@given(data=st.data())
def test_mutated_bytes(data):
    buffer = io.BytesIO()
    torch.save(good(), buffer)
    content = bytearray(buffer.getvalue())
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    for _ in range(data.draw(st.integers(0, 4))):
        # The pickle stands at the beginning.
        place = data.draw(st.integers(0, min(3000, len(content) - 1)))
        content[place] = data.draw(st.integers(0, 255))
    use(bytes(content[:end]))


@given(text=st.text(alphabet='a=dict(){}[],:\'"\n1-.#\\ *fx', max_size=60))
def test_config_texts(text):
    try:
        found = read_config_text(text)
    except ValueError:
        return
    assert isinstance(found, dict)


@given(content=st.binary(max_size=80))
def test_any_bytes_are_not_a_checkpoint(content):
    with tempfile.TemporaryDirectory() as folder:
        for name in ('x.pth', 'x.safetensors'):
            path = Path(folder) / name
            path.write_bytes(content)
            try:
                read_checkpoint(path)
            except MMLGDError as error:
                assert name in str(error)
            layer = BaseModule(dict(type='Pretrained', checkpoint=str(path)))
            with pytest.raises(MMLGDError):
                layer.init_weights()
                raise MMLGDError('an empty state is nothing to complain of')
