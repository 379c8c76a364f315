"""Methods of the benchmarks only differ in the method; splits are disjoint."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

import mmlgd  # noqa: F401  (registers the scope before configs are read)
from benchmarks.comparison.methods import METHODS, run_config
from benchmarks.comparison.plan import load_benchmark
from demo import cifar10
from mmlgd.registry import DATASETS, MODELS
from tests.cifar10_source import write_package

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'benchmarks/comparison/configs'
FILES = sorted(CONFIGS.glob('*.py'))
METHODS_OF = [(file, name) for file in FILES for name in load_benchmark(file).methods]
COMPARISONS = [file for file in FILES if file.stem != 'stored_views']
# Other learning rates need no separate test; stored views need a store; LightlyTrain
# trains in its own way.
STEPPED = [
    (file, name)
    for file, name in METHODS_OF
    if '_lr_' not in name
    and not name.startswith('lightly_train')
    and (file in COMPARISONS or name == 'online')
]


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.chdir(ROOT)


def config_of(file: Path, name: str) -> Config:
    benchmark = load_benchmark(file)
    benchmark.prepare = None
    benchmark.read_data()
    return run_config(benchmark, benchmark.methods[name], 1, Path('work'), 'prepared')


@pytest.mark.slow
@pytest.mark.parametrize('file', COMPARISONS, ids=lambda file: file.stem)
def test_methods_differ_in_the_method_alone(file):
    """Also in the learning rate. BINGO gets pairs, and fewer iterations at equal
    cost."""
    compared = []
    for name in load_benchmark(file).methods:
        if file.stem.endswith('_equal_cost') and name == 'bingo':
            continue
        cfg = config_of(file, name).to_dict()
        dataset = cfg['train_dataloader']['dataset']
        if dataset['dataset']['type'] == 'BagPairs':
            dataset['dataset'] = dataset['dataset']['dataset']
        del cfg['optim_wrapper']['optimizer']['lr']
        common = ('optim_wrapper', 'param_scheduler', 'train_cfg', 'randomness')
        loaders = [f'{split}_dataloader' for split in ('train', 'val', 'test')]
        backbone = cfg['model']['backbone']
        compared.append([backbone, *(cfg[key] for key in (*common, *loaders))])
    assert all(other == compared[0] for other in compared)


def test_at_one_cost_the_others_have_thrice_the_iterations_of_bingo():
    file = CONFIGS / 'fashion_mnist_equal_cost.py'
    bingo, lgd = (config_of(file, name) for name in ('bingo', 'lgd_3x'))
    assert lgd.train_cfg.max_iters == 3 * bingo.train_cfg.max_iters
    assert lgd.param_scheduler[-1].end == lgd.train_cfg.max_iters


@pytest.mark.parametrize('views', [1, 4, 10])
def test_stored_views_differ_from_the_online_run_in_the_store_alone(views):
    file = CONFIGS / 'stored_views.py'
    online, stored = (
        config_of(file, name).to_dict() for name in ('online', f'k{views}')
    )
    teacher, dataset = stored['model']['teacher'], stored['train_dataloader']['dataset']
    assert teacher.pop('teacher') == online['model']['teacher']
    assert dataset.pop('num_views') == views
    assert teacher.pop('store') == dataset.pop('store') is not None
    assert stored['custom_hooks'].pop() == dict(type='StoredViewsHook')
    # The views of a store have its seed; those of an online run the run's.
    assert online['train_dataloader']['dataset'].pop('seed') == 1
    online['model']['teacher'] = dict(type='StoredTeacher')
    online['train_dataloader']['dataset']['type'] = 'StoredViews'
    assert stored == online


class Numbers(BaseDataset):
    def load_data_list(self):
        return [dict(number=number) for number in range(60000)]


def numbers(dataset: dict) -> set:
    taken = Numbers(indices=dataset.get('indices'), serialize_data=False)
    return {info['number'] for info in map(taken.get_data_info, range(len(taken)))}


def test_fashion_mnist_keeps_images_for_validation():
    cfg = config_of(CONFIGS / 'fashion_mnist.py', 'lgd')
    train, val = cfg.train_dataloader.dataset.dataset, cfg.val_dataloader.dataset
    assert train.split == val.split == 'train'
    assert len(numbers(train)) == 55000 and len(numbers(val)) == 5000
    assert not numbers(train) & numbers(val)
    test = cfg.test_dataloader.dataset
    assert test.split == 'test' and test.test_mode


def test_cifar10_keeps_images_for_validation(tmp_path, monkeypatch):
    digest = write_package(tmp_path / 'package.tgz')
    monkeypatch.setattr(cifar10, 'PACKAGE_SHA256', digest)
    folder = cifar10.prepare_cifar10(
        tmp_path / 'out', tmp_path / 'package.tgz', val_per_class=1
    )
    cfg = config_of(CONFIGS / 'cifar10.py', 'lgd')
    init_default_scope('mmlgd')

    def images(dataset):
        read = DATASETS.build(dict(dataset, data_root=str(folder), pipeline=[]))
        return {read.get_data_info(i)['img_path'] for i in range(len(read))}

    train = images(cfg.train_dataloader.dataset.dataset)
    val, test = images(cfg.val_dataloader.dataset), images(cfg.test_dataloader.dataset)
    assert (len(train), len(val), len(test)) == (40, 10, 10)
    assert not train & val
    assert train | val == {str(path) for path in folder.glob('train/*/*.png')}
    assert test == {str(path) for path in folder.glob('test/*/*.png')}


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_data_are_prepared_where_the_configs_look(file):
    benchmark = load_benchmark(file)
    for part in (benchmark.train, benchmark.val, benchmark.test):
        assert part['data_root'] == benchmark.prepare['out_dir']


def test_every_method_is_in_a_benchmark():
    used = {name.split('_lr_')[0] for _, name in METHODS_OF}
    # LightlyTrain needs an environment of its own.
    assert {*METHODS} - {'dense_lgd', 'lightly_train'} <= used


def test_the_learning_rate_follows_the_batch():
    benchmark = load_benchmark(CONFIGS / 'cifar10.py')
    benchmark.prepare, benchmark.batch_size = None, 64
    benchmark.read_data()
    cfg = run_config(benchmark, benchmark.methods['seed'], 0, Path('work'))
    assert cfg.optim_wrapper.optimizer.lr == 0.12
    assert cfg.train_dataloader.batch_size == 64


@pytest.mark.slow
@pytest.mark.parametrize(
    ('file', 'name'), STEPPED, ids=[f'{file.stem}-{name}' for file, name in STEPPED]
)
def test_a_method_builds_and_takes_two_steps(file, name):
    init_default_scope('mmlgd')
    cfg = config_of(file, name)
    for bank in {'textual_bank', 'zero_shot_bank'} & set(cfg.model):
        cfg.model[bank].templates = ['a photo of a {}.']  # for speed
    for further in cfg.model.get('teachers', [])[1:]:
        further.teacher.checkpoint = None  # written by benchmarks.supervised_teacher
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for target, one in getattr(model, 'feature_statistics', {}).items():
        one.fit(one.moments(torch.randn(64, len(one.mean))), target)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    side, before = (
        load_benchmark(file).image_size,
        next(model.backbone.parameters()).detach().clone(),
    )
    image = torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8)
    inputs = [image, image.flip(3)] if cfg.model.type == 'BINGO' else image
    samples = [DataSample().set_gt_label(label) for label in range(8)]
    for _ in range(2):
        losses = model.train_step(dict(inputs=inputs, data_samples=samples), optimizer)
        assert all(torch.isfinite(value).all() for value in losses.values())
    assert not torch.equal(next(model.backbone.parameters()), before)
