"""Training from stored views, against training with the teacher."""

import json
import shutil

import pytest
import torch
from mmengine.runner import Runner

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.registry import MODELS
from mmlgd.stores import StoredTeacher
from mmlgd.utils.checkpoint import read_checkpoint
from tests.bingo_runs import toy_bingo_cfg
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import stored_run_cfg, write_store
from tests.toys import NAMES, D, ToyTeacher, toy_lgd_cfg

SEED = dict(type='SEED', backbone=dict(type='ToyBackbone'), queue_size=7)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def store(root):
    path = root / 'store'
    write_store(toy_run_cfg(root, root / 'online'), path)
    return path


def trained(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner.model


@pytest.mark.slow
@pytest.mark.parametrize(
    'method',
    [
        toy_lgd_cfg(sorted(NAMES)),
        dict(SEED, zero_shot_bank=dict(type='TextualSemanticsBank', categories=NAMES)),
    ],
    ids=['LGD', 'SEED'],
)
def test_student_is_that_of_the_online_run(root, store, tmp_path, method):
    """Two epochs, two views: every view is used as with the online teacher."""
    model = dict(method, teacher=dict(type='ToyTeacher'))
    online = toy_run_cfg(root, tmp_path / 'online', dict(model))
    stored = stored_run_cfg(root, store, tmp_path / 'stored', model=dict(model))
    online, stored = trained(online), trained(stored)
    start = MODELS.build(model).state_dict()
    for name, value in online.backbone.state_dict().items():
        moved = (value - start[f'backbone.{name}']).abs().max()
        # Half precision keeps eleven bits of an embedding.
        torch.testing.assert_close(
            stored.backbone.state_dict()[name], value, rtol=0, atol=float(moved) / 50
        )


def test_no_teacher_is_in_memory_and_zero_shot_still_works(root, store, tmp_path):
    runner = Runner.from_cfg(stored_run_cfg(root, store, tmp_path / 'run'))
    runner.train()
    teacher = runner.model.teacher
    assert not list(teacher.parameters()) and teacher.text is None
    metrics = runner.val()
    assert any('top1' in key and 'teacher' not in key for key in metrics)
    assert not any('teacher' in key for key in metrics)


def test_checkpoint_records_the_teacher_of_the_store(root, store, tmp_path):
    trained(stored_run_cfg(root, store, tmp_path / 'run'))
    path = tmp_path / 'run' / 'epoch_2.pth'
    assert read_checkpoint(path)['meta']['teacher'] == ToyTeacher().identity


def test_banks_of_other_names_come_from_the_same_store(store):
    names = ['lamp', 'chair']
    bank = MODELS.build(
        dict(type='TextualSemanticsBank', categories=names, embed_dims=D)
    )
    bank.build(StoredTeacher(store, teacher=dict(type='ToyTeacher')))
    wanted = ToyTeacher().encode_text([t.format('lamp') for t in bank.templates])
    wanted = torch.nn.functional.normalize(wanted.mean(dim=0), dim=0)
    torch.testing.assert_close(bank.embeddings[0], wanted)


def test_other_weights_under_the_stores_config_are_refused(store):
    with pytest.raises(TeacherError, match='was made by ToyTeacher#'):
        StoredTeacher(store, teacher=dict(type='ToyTeacher', seed=1))


def test_same_weights_under_another_config_are_taken(store):
    teacher = StoredTeacher(store, teacher=dict(type='ToyTeacher', seed=0))
    assert teacher.identity == ToyTeacher().identity
    assert teacher.encode_text(['a cat']).shape == (1, D)


def test_stored_teacher_embeds_no_image(store):
    teacher = StoredTeacher(store)
    for encode in (teacher.encode_image, teacher.encode_features):
        with pytest.raises(TeacherError, match='StoredViews'):
            encode(torch.zeros(1, 3, 16, 16))
    # It has no parameter that could say where it is.
    assert teacher.device == torch.device('cpu')
    with pytest.raises(TeacherError, match='has no feature map'):
        _ = teacher.feature_map_dims


def test_a_renamed_teacher_with_the_same_weights_is_taken(store, tmp_path):
    """A weight file's name is for messages; the fingerprint decides."""
    copied = tmp_path / 'store'
    shutil.copytree(store, copied)
    manifest = json.loads((copied / 'manifest.json').read_text())
    _, weights = manifest['teacher'].split('#')
    _, text = manifest['text_encoder'].split('#')
    manifest.update(
        teacher=f'Other/file.pt#{weights}', text_encoder=f'Other/file.pt#{text}'
    )
    (copied / 'manifest.json').write_text(json.dumps(manifest))
    teacher = StoredTeacher(copied, teacher=dict(type='ToyTeacher', seed=0))
    assert teacher.encode_text(['a cat']).shape == (1, D)


@pytest.mark.slow
def test_a_renamed_teacher_trains_and_extends(root, tmp_path):
    """The same in the hook that compares, and in a build that adds views."""
    store = tmp_path / 'store'
    cfg = toy_run_cfg(root, tmp_path / 'online')
    write_store(cfg, store)
    text = (store / 'manifest.json').read_text()
    (store / 'manifest.json').write_text(text.replace('"ToyTeacher#', '"moved.pt#'))
    write_store(cfg, store, views=3)
    cfg = stored_run_cfg(root, store, tmp_path / 'run')
    cfg.model.teacher = dict(type='ToyTeacher')
    trained(cfg)


def test_teacher_config_of_a_store_is_never_built(store, tmp_path):
    copied, ran = tmp_path / 'store', tmp_path / 'ran'
    shutil.copytree(store, copied)
    manifest = json.loads((copied / 'manifest.json').read_text())
    manifest['teacher_config'] = dict(type='os.system', command=f'touch {ran}')
    (copied / 'manifest.json').write_text(json.dumps(manifest))
    with pytest.raises(TeacherError, match="Set StoredTeacher's option teacher"):
        StoredTeacher(copied).encode_text(['a cat'])
    StoredTeacher(copied, teacher=dict(type='ToyTeacher')).encode_text(['a cat'])
    assert not ran.exists()


def test_store_of_another_teacher_is_refused(root, store, tmp_path):
    cfg = stored_run_cfg(root, store, tmp_path / 'run')
    cfg.model.teacher = dict(type='ToyTeacher', seed=1)
    with pytest.raises(ConfigError, match='embedded by ToyTeacher#.*the teacher Toy'):
        Runner.from_cfg(cfg).train()


def test_stored_teacher_without_stored_views_is_refused(root, store, tmp_path):
    cfg = stored_run_cfg(root, store, tmp_path / 'run')
    cfg.train_dataloader.dataset.type = 'SeededViews'
    del cfg.train_dataloader.dataset['store']
    with pytest.raises(ConfigError, match="type to 'StoredViews'"):
        Runner.from_cfg(cfg).train()


NEEDY = {
    'BINGO': toy_bingo_cfg(),
    'DenseLGD': toy_lgd_cfg(type='DenseLGD'),
    'SpatialMimicry': dict(type='SpatialMimicry', backbone=dict(type='ToyBackbone')),
    'SEED': dict(SEED, num_patches=2),
}


@pytest.mark.parametrize('method', NEEDY)
def test_methods_that_need_the_teacher_are_refused_when_built(store, method):
    """Not at the first iteration, and not as a bare StopIteration."""
    model = dict(NEEDY[method], teacher=dict(type='StoredTeacher', store=str(store)))
    message = f'{method} needs the teacher itself .* StoredTeacher'
    with pytest.raises(ConfigError, match=message):
        MODELS.build(model)


def test_method_that_needs_the_teacher_refuses_a_store(root, store, tmp_path):
    cfg = stored_run_cfg(root, store, tmp_path / 'run', model=toy_bingo_cfg())
    # The teacher itself, but embeddings from the store.
    cfg.model.teacher = dict(type='ToyTeacher')
    with pytest.raises(ConfigError, match='BINGO needs the teacher itself'):
        Runner.from_cfg(cfg).train()
