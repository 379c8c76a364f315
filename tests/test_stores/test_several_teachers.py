"""A store of several teachers' embeddings, and a student that learns from it."""

import json

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmlgd.errors import ConfigError, DataError, TeacherError
from mmlgd.registry import DATASETS, MODELS
from mmlgd.stores import Manifest, StoredTeacher
from tests.runs import toy_run_cfg, write_images
from tests.several_toys import entry, several_cfg
from tests.stored_runs import write_store
from tests.toys import NAMES, D, ToyTeacher, toy_lgd_cfg

WIDE = 7
FURTHER = entry(size=16, weight=2.0), entry(seed=2, size=8, width=WIDE)
_CROP = [
    dict(type='FastRandomResizedCrop', scale=16, crop_ratio_range=(0.3, 1.0)),
    dict(type='mmpretrain.PackInputs'),
]


def online_cfg(root, *further):
    model = several_cfg(*(further or FURTHER))
    model['textual_bank'] = dict(model['textual_bank'], categories=sorted(NAMES))
    cfg = toy_run_cfg(root, root / 'online', model)
    cfg.train_dataloader.dataset.dataset.pipeline = _CROP
    cfg.custom_hooks.append(dict(type='FeatureStatisticsHook'))
    return cfg


def stored_cfg(root, work_dir, order=(0, 1, 2), configs=(0, 1, 2), store='store'):
    """The online run from the store: teachers by position, and their configs."""
    cfg = online_cfg(root)
    first, *others = cfg.model.teachers
    known = [first, *(one.teacher for one in others)]
    stored = [
        dict(
            type='StoredTeacher',
            store=str(root / store),
            teacher=known[config],
            position=position,
        )
        for position, config in zip(order, configs)
    ]
    entries = [dict(one, teacher=each) for one, each in zip(others, stored[1:])]
    cfg.model.teachers = [stored[0], *entries]
    cfg.train_dataloader.dataset.update(type='StoredViews', store=str(root / store))
    cfg.custom_hooks.append(dict(type='StoredViewsHook'))
    cfg.work_dir, cfg.experiment_name = str(work_dir), work_dir.name
    return cfg


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = write_images(tmp_path_factory.mktemp('several'))
    write_store(online_cfg(root), root / 'store')
    return root


def batch_of(cfg, model, indices=(0, 5, 9, 16)):
    init_default_scope('mmlgd')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    items = [dataset[index] for index in indices]
    batch = {
        key: torch.stack([item[key] for item in items])
        for key in ('inputs', 'teacher_embeddings')
    }
    found = model.data_preprocessor(batch)
    return {key: found[key] for key in batch}


def test_a_row_is_the_embedding_of_every_teacher(root):
    model = MODELS.build(online_cfg(root).model)
    batch = batch_of(stored_cfg(root, root / 'x'), model)
    rows = batch['teacher_embeddings']
    teachers = [model.teacher, *(one.teacher for one in model.further_teachers)]
    assert rows.shape == (4, D + 10 + WIDE)

    for teacher, part in zip(teachers, rows.split([D, 10, WIDE], dim=1)):
        wanted = teacher.encode_image(batch['inputs'])
        torch.testing.assert_close(F.normalize(part), wanted, atol=1e-3, rtol=0)
        # Equal lengths, so that one teacher does not take the precision of another.
        torch.testing.assert_close(
            part.norm(dim=1), torch.full((4,), 3**-0.5), atol=1e-3, rtol=0
        )


def test_manifest_says_who_made_it(root):
    manifest = Manifest.read(root / 'store')
    model = MODELS.build(online_cfg(root).model)
    wanted = [model.teacher, *(one.teacher for one in model.further_teachers)]
    assert [each['teacher'] for each in manifest.members] == [
        one.identity for one in wanted
    ]
    assert [each['embed_dims'] for each in manifest.members] == [D, 10, WIDE]
    assert manifest.teacher == model.stored_identity
    assert manifest.text_encoder == ToyTeacher().text_identity


def test_a_step_from_the_store_is_the_online_step(root):
    online_model = MODELS.build(online_cfg(root).model)
    cfg = stored_cfg(root, root / 'x')
    model = MODELS.build(cfg.model)
    batch = batch_of(cfg, online_model, range(16))
    for name, target in online_model.feature_targets(batch['inputs']).items():
        one = online_model.feature_statistics[name]
        one.fit(one.moments(target), name)
    model.load_state_dict(online_model.state_dict())
    part = {key: value[:6] for key, value in batch.items()}

    found = model(**part, mode='loss')
    part.pop('teacher_embeddings')
    wanted = online_model(**part, mode='loss')

    assert found.keys() == wanted.keys() and len(found) == 4
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=0.02, rtol=0.02)


def test_a_run_from_the_store_has_the_online_statistics(root, tmp_path):
    states = []
    for cfg in (online_cfg(root), stored_cfg(root, tmp_path / 'stored')):
        cfg.train_cfg.max_epochs = 1
        cfg.work_dir = str(tmp_path / cfg.experiment_name)
        runner = Runner.from_cfg(cfg)
        runner.train()
        states.append(runner.model.state_dict())
    for name in ('features_1', 'features_2'):
        for kind in ('mean', 'std', 'num_rows'):
            key = f'feature_statistics.{name}.{kind}'
            torch.testing.assert_close(
                states[1][key], states[0][key], atol=1e-4, rtol=1e-2
            )
    meta = torch.load(tmp_path / 'stored/epoch_1.pth', weights_only=True)['meta']
    assert meta['teacher'] == ToyTeacher().identity


@pytest.mark.parametrize(
    'order', [(0, 2, 1), (1, 0, 2)], ids=['further', 'language last']
)
def test_another_order_is_refused(root, tmp_path, order):
    # Each config is its teacher's, but the columns are those of another.
    with pytest.raises((ConfigError, TeacherError)) as error:
        Runner.from_cfg(stored_cfg(root, tmp_path / 'a', order, order)).train()
    assert 'embedded by' in str(error.value) or 'has no text' in str(error.value)
    with pytest.raises(TeacherError, match='The store .* was made by'):
        MODELS.build(stored_cfg(root, tmp_path / 'b', (0, 1, 2), order).model)


def test_another_teacher_or_position_is_refused(root, tmp_path):
    cfg = stored_cfg(root, tmp_path / 'a')
    cfg.model.teachers[2].teacher.teacher.seed = 3
    with pytest.raises(TeacherError, match='further2.*but the config has further3'):
        MODELS.build(cfg.model)
    for position in (3, -1, 'first', None):
        with pytest.raises(ConfigError, match=f'position is {position!r}, .*further2'):
            StoredTeacher(root / 'store', position=position)
    with pytest.raises(ConfigError, match='are the same teacher'):
        MODELS.build(stored_cfg(root, tmp_path / 'b', (0, 1, 1), (0, 1, 1)).model)


def test_some_stored_teachers_are_not_enough(root, tmp_path):
    cfg = stored_cfg(root, tmp_path / 'a')
    cfg.model.teachers[1].teacher = dict(type='FurtherToy', size=16)
    with pytest.raises(ConfigError, match=r'stored teachers \(0, 2\)'):
        MODELS.build(cfg.model)


def test_maps_are_not_stored(root, tmp_path):
    maps = entry(size=16, target=['features', 'maps'])
    with pytest.raises(ConfigError, match=r'teachers\[1\].target is features, maps'):
        write_store(online_cfg(root, maps), tmp_path / 'store')
    cfg = stored_cfg(root, tmp_path / 'a')
    cfg.model.teachers[1].target = 'maps'
    with pytest.raises(ConfigError, match='needs the teacher itself'):
        MODELS.build(cfg.model)


def test_lgd_alone_refuses_the_store(root, tmp_path):
    cfg = stored_cfg(root, tmp_path / 'a')
    first = cfg.model.teachers[0]
    cfg.model = toy_lgd_cfg(sorted(NAMES), teacher=dict(first))
    cfg.custom_hooks = [one for one in cfg.custom_hooks if 'Feature' not in one['type']]
    with pytest.raises(ConfigError, match='were embedded by ToyTeacher\\+further0'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize(
    'changes',
    [
        dict(members=[dict(teacher='a#1', embed_dims=1)]),
        dict(members=['x']),
        dict(members=[dict(teacher=1, embed_dims=D + 10 + WIDE)]),
        dict(teacher_config=dict(teachers=[{}])),
        dict(teacher_config={}),
    ],
)
def test_members_that_do_not_fit_are_refused(root, tmp_path, changes):
    content = json.loads((root / 'store/manifest.json').read_text())
    (tmp_path / 'manifest.json').write_text(json.dumps({**content, **changes}))
    with pytest.raises(DataError, match='members'):
        StoredTeacher(tmp_path)
