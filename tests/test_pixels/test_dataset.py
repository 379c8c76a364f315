"""Stores with pixels: what they contain, and training from them."""

import io
import json
import shutil
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmlgd.apis.stored_views import prepare_views
from mmlgd.datasets import SeededViews, UnlabeledShards
from mmlgd.engine.hooks import StoredViewsHook
from mmlgd.errors import ConfigError, DataError
from mmlgd.pixels.dataset import StoredPixels
from mmlgd.pixels.loss import measure_pixel_loss
from mmlgd.registry import DATASETS, MODELS
from mmlgd.stores import StoredViews
from mmlgd.stores.build import check_same
from mmlgd.stores.verify import store_faults
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import stored_run_cfg, write_store
from tests.toys import ToyTeacher, toy_lgd_cfg

LARGE, SMALL = 16, 8
PIXELS = dict(jpeg=('jpeg', 90), webp=('webp', 90))


def online(root, **model):
    return toy_run_cfg(root, root / 'run', toy_lgd_cfg(**model))


@pytest.fixture(scope='module', params=PIXELS)
def root(request, tmp_path_factory):
    """Sixteen images, and two views of each stored, in shards of five rows."""
    root = write_images(tmp_path_factory.mktemp(request.param))
    write_store(online(root), root / 'store', pixels=PIXELS[request.param])
    return root


@pytest.fixture
def damaged(root, tmp_path):
    """A copy of the store, to damage."""
    shutil.copytree(root / 'store', tmp_path / 'store')
    return tmp_path / 'store'


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A store of a student of 8 pixels, and a teacher of 16."""
    root = write_images(tmp_path_factory.mktemp('small'))
    write_store(online(root, student_size=SMALL), root / 'store', pixels=('jpeg', 95))
    return root


def member(store, view, row):
    """A view (3, H, W) BGR of the store, by other libraries, and its name."""
    with tarfile.open(store / f'views/{view:03}/{row - row % 5:09}.tar') as tar:
        (info,) = (one for one in tar if f'{row:09}.' in one.name)
        data = tar.extractfile(info).read()
    image = np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
    return torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy()), info.name


def embed(inputs):
    """The toy teacher's unit rows of BGR uint8 images, by hand."""
    teacher = ToyTeacher()
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (teacher.image_mean, teacher.image_std)
    )
    return F.normalize(
        teacher.image_features((inputs.flip(-3).float() - mean) / std), dim=1
    )


def test_items_are_the_members_of_tar_files_and_their_embeddings(root):
    views = StoredPixels(root / 'store')
    assert (len(views), views.num_views) == (16, 2)
    for view, row in ((0, 0), (0, 4), (1, 5), (1, 15)):
        wanted, name = member(root / 'store', view, row)
        assert name.startswith(f'{view:03}/{row:09}.')
        item = views[view * 16 + row]
        assert torch.equal(item['inputs'], wanted)
        found = item['teacher_embeddings']
        # Stored in float16.
        torch.testing.assert_close(found, embed(wanted[None])[0], atol=1e-3, rtol=0)
    assert torch.equal(views[2 * 16 + 3]['inputs'], views[3]['inputs'])


def test_views_are_those_of_the_online_run_but_for_the_codec(root):
    init_default_scope('mmlgd')
    exact = SeededViews(online(root).train_dataloader.dataset.dataset)
    stored = StoredPixels(root / 'store')
    # The images are blurred noise, which suits no codec.
    error = np.mean(
        [
            (exact[i]['inputs'].float() - stored[i]['inputs'].float()).abs().mean()
            for i in range(32)
        ]
    )
    other = (exact[0]['inputs'].float() - stored[1]['inputs'].float()).abs().mean()
    assert 0 < error < 20 < other


def test_the_tar_files_are_shards_for_other_readers(root):
    init_default_scope('mmlgd')
    load = [dict(type='LoadImageFromFile')]
    shards = UnlabeledShards(
        str(root / 'store/views/001'), index=str(root / 'index'), pipeline=load
    )
    assert len(shards) == 16
    wanted, _ = member(root / 'store', 1, 7)
    assert np.array_equal(shards[7]['img'].transpose(2, 0, 1), wanted)


def pixel_run_cfg(root, store, work_dir, **overrides):
    cfg = stored_run_cfg(root, store, work_dir, **overrides)
    cfg.train_dataloader.dataset.type = 'StoredPixels'
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('keeps_dataset', [True, False])
def test_training_needs_no_image_and_no_teacher(root, tmp_path, keeps_dataset):
    """And its losses are those of the online teacher on the decoded pixels."""
    shutil.copytree(root / 'val', tmp_path / 'val')
    cfg = pixel_run_cfg(tmp_path, root / 'store', tmp_path / 'run')
    if not keeps_dataset:
        del cfg.train_dataloader.dataset['dataset']
    runner = Runner.from_cfg(cfg)
    seen = []
    step = type(runner.model).loss
    runner.model.loss = lambda *args: seen.append(args) or step(runner.model, *args)
    runner.train()
    assert not (tmp_path / 'train').exists()
    assert len(seen) == 2 * 4
    for inputs, _, rows in seen:
        # Normalised inputs are those that the rows are of.
        torch.testing.assert_close(
            rows, F.normalize(ToyTeacher().image_features(inputs)), atol=2e-3, rtol=0
        )


def test_a_step_gives_the_losses_of_the_teacher_on_the_decoded_pixels(root):
    init_default_scope('mmlgd')
    torch.manual_seed(0)
    model = MODELS.build(online(root).model)
    model.build_text_banks()
    views, store = StoredPixels(root / 'store'), root / 'store'
    items = [views[index] for index in range(4)]
    batch = {key: torch.stack([one[key] for one in items]) for key in items[0]}
    prepared = model.data_preprocessor(batch, True)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    found = model(**prepared, mode='loss')

    decoded = torch.stack([member(store, 0, row)[0] for row in range(4)])
    mean, std = (
        torch.tensor(getattr(model.teacher, name))[:, None, None]
        for name in ('image_mean', 'image_std')
    )
    model.load_state_dict(state)
    wanted = model((decoded.flip(1).float() - mean) / std, mode='loss')
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=0.02, rtol=0.02)


def test_a_smaller_student_gets_its_size_and_the_teacher_sees_it_enlarged(small):
    views = StoredPixels(small / 'store')
    for index in (0, 20):
        item = views[index]
        wanted, _ = member(small / 'store', *divmod(index, 16))
        assert torch.equal(item['inputs'], wanted)
        assert wanted.shape == (3, SMALL, SMALL)
        enlarged = F.interpolate(
            wanted[None].float(), (LARGE, LARGE), mode='bilinear', antialias=True
        )
        torch.testing.assert_close(
            item['teacher_embeddings'], embed(enlarged)[0], atol=5e-3, rtol=0
        )


def trains(cfg):
    """Build model and dataset of a run, and check them as its hook does."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(model=MODELS.build(cfg.model), train_dataloader=loader)
    StoredViewsHook().before_train(runner)


def test_another_size_than_the_configs_is_refused_by_name(root, small, tmp_path):
    cfg = pixel_run_cfg(small, small / 'store', tmp_path / 'run')
    with pytest.raises(ConfigError, match='pixels of 8x8, .* with 16x16 .the scale'):
        trains(cfg)
    cfg.model.student_size = 4
    with pytest.raises(ConfigError, match=r'with 4x4 \(model.student_size'):
        trains(cfg)
    cfg.model.student_size = SMALL
    trains(cfg)
    # A pipeline that draws the student's size itself.
    del cfg.model['student_size']
    cfg.train_dataloader.dataset.dataset.pipeline[1].scale = SMALL
    trains(cfg)
    cfg = pixel_run_cfg(root, root / 'store', tmp_path / 'run')
    cfg.train_dataloader.dataset.dataset.pipeline[1].scale = (12, 10)
    with pytest.raises(ConfigError, match='pixels of 16x16, .* with 10x12'):
        trains(cfg)


def test_other_transforms_are_refused_by_name(root):
    init_default_scope('mmlgd')
    images = online(root).train_dataloader.dataset.dataset
    images.pipeline[1].crop_ratio_range = (0.5, 1.0)
    with pytest.raises(ConfigError, match=r'crop_ratio_range = \[0.3, 1.0\]'):
        StoredPixels(root / 'store', images)


def test_each_kind_of_store_has_its_dataset(root, tmp_path):
    init_default_scope('mmlgd')
    images = online(root).train_dataloader.dataset.dataset
    with pytest.raises(ConfigError, match="dataset.type to 'StoredPixels'"):
        StoredViews(images, root / 'store')
    write_store(online(root), tmp_path / 'exact')
    with pytest.raises(ConfigError, match="has no pixels: .* 'StoredViews'"):
        StoredPixels(tmp_path / 'exact')
    # Releases without stored pixels read it.
    assert 'pixels' not in json.loads((tmp_path / 'exact/manifest.json').read_text())
    with pytest.raises(ConfigError, match='has 2 .1 is the least.'):
        StoredPixels(root / 'store', num_views=3)
    assert DATASETS.get('StoredPixels') is StoredPixels


def test_a_store_is_not_extended_with_another_codec(root):
    init_default_scope('mmlgd')
    views = StoredPixels(root / 'store')
    manifest = views.store.manifest
    source = prepare_views(online(root), 'float16', 5, 'cpu', ('jpeg', 50))
    with pytest.raises(ConfigError, match="begun with pixels = {'codec': "):
        check_same(manifest, source.manifest, root / 'store')


def faults(root, store):
    init_default_scope('mmlgd')
    codec = StoredPixels(root / 'store').store.manifest.codec
    pixels = codec.codec, codec.quality
    return store_faults(
        store, prepare_views(online(root), 'float16', 5, 'cpu', pixels), 32
    )


def test_a_whole_store_has_no_faults(root):
    assert faults(root, root / 'store') == []


def test_a_flipped_bit_of_a_view_is_named_by_reading_and_by_verifying(root, damaged):
    path = damaged / 'views/001/000000005.tar'
    with tarfile.open(path) as tar:
        info = tar.getmembers()[2]
    content = bytearray(path.read_bytes())
    content[info.offset_data + info.size // 2] ^= 4
    path.write_bytes(content)
    views = StoredPixels(damaged)
    message = (
        f'{path} has a wrong checksum at byte {info.offset_data} .*remove .*records'
    )
    with pytest.raises(DataError, match=message):
        views[16 + 7]
    views[16 + 6], views[16 + 8]
    (found,) = faults(root, damaged)
    assert found.startswith(f'The shard {path} has a wrong checksum at byte')


def test_missing_truncated_and_swapped_tar_files_are_named_at_the_start(damaged):
    path, other = (
        damaged / 'views/001/000000005.tar',
        damaged / 'views/000/000000005.tar',
    )
    content = path.read_bytes()
    for spoiled in (content[:-1536], b'', other.read_bytes()):
        path.write_bytes(spoiled)
        with pytest.raises(
            DataError, match=f'{path} has (a wrong checksum|.* missing)'
        ):
            StoredPixels(damaged)
    path.unlink()
    with pytest.raises(DataError, match=f'{path} is missing'):
        StoredPixels(damaged)


@pytest.mark.parametrize(
    'pixels',
    [
        dict(codec='png', quality=90, height=8, width=8),
        dict(codec='jpeg', quality=90, height=8),
        dict(codec='jpeg', quality=True, height=8, width=8),
        dict(codec='jpeg', quality=90, height=10**9, width=8),
        dict(codec=['jpeg'], quality=90, height=8, width=8),
        'jpeg',
    ],
    ids=str,
)
def test_invalid_codecs_of_a_manifest_are_refused(damaged, pixels):
    path = damaged / 'manifest.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'pixels': pixels}))
    with pytest.raises(DataError, match='not a manifest of stored views .pixels'):
        StoredPixels(damaged)


def test_pixels_that_lose_too_much_are_refused(root):
    init_default_scope('mmlgd')
    fine = prepare_views(online(root), 'float16', 5, 'cpu', ('webp', 95))
    losses = measure_pixel_loss(fine)
    assert 0 < losses['pixel_cosine_loss'] < losses['view_cosine_loss'] / 2
    poor = prepare_views(online(root, student_size=1), 'float16', 5, 'cpu', ('jpeg', 1))
    with pytest.raises(ConfigError, match='jpeg of quality 1 and 1x1 .* lose too much'):
        measure_pixel_loss(poor)
