"""LightlyTrain as a side of a comparison, with a stand-in for the package."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch

from benchmarks.comparison import __main__ as tool
from benchmarks.comparison import runs
from benchmarks.comparison.methods import run_config
from benchmarks.comparison.plan import load_benchmark
from benchmarks.lightly_train import write_images
from benchmarks.lightly_train.pretrain import StudentWrapper, TeacherWrapper
from mmlgd.registry import MODELS

#: Sets all weights of the student to 0.5; records what it was given.
STAND_IN = """
import json
import torch

def pretrain(model, out, method_args, transform_args, **options):
    images = torch.zeros(2, 3, 64, 64)
    for each in (model, method_args['teacher']):
        found = each.forward_features(images)
        assert found['features'].shape[1] == each.feature_dim()
        pooled = each.forward_pool(found)['pooled_features']
        assert pooled.shape == (2, each.feature_dim(), 1, 1)
    for parameter in model.get_model().parameters():
        parameter.data.fill_(0.5)
    out.mkdir(parents=True)
    options['transform_args'] = transform_args
    (out / 'given.json').write_text(json.dumps(options, default=str))
"""


@pytest.fixture
def benchmark_file(file):
    """The user dataset, with LightlyTrain in this environment as the only method."""
    program = dict(
        module='benchmarks.lightly_train.pretrain',
        python=sys.executable,
        images='',
        options=dict(method='distillationv3', method_args={}, optim_args=dict(lr=0.1)),
    )
    text = file.read_text().replace(
        "methods = ['teacher', 'lgd', 'supervised']",
        f"methods = dict(lightly_train=dict(program={program!r}))\nevaluations = ['knn']",
    )
    file.write_text(text)
    return file


def config_of(file):
    benchmark = load_benchmark(file)
    benchmark.read_data()
    method = benchmark.methods['lightly_train']
    return run_config(benchmark, method, 1, file.parent, 'the images')


def test_wrappers_return_what_student_and_teacher_do(benchmark_file):
    model = MODELS.build(config_of(benchmark_file).model).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    student, teacher = StudentWrapper(model), TeacherWrapper(model.teacher)

    def pooled(wrapper):
        maps = wrapper.forward_features(images)
        return wrapper.forward_pool(maps)['pooled_features'].flatten(1)

    with torch.no_grad():
        torch.testing.assert_close(pooled(student), model.extract_feat(images))
        torch.testing.assert_close(pooled(teacher), model.teacher.encode_image(images))
        torch.testing.assert_close(
            teacher.forward_features(images)['features'],
            model.teacher.encode_dense(images),
        )


def test_images_are_written_as_they_are(benchmark_file, monkeypatch):
    cfg = config_of(benchmark_file)
    config, out = benchmark_file.parent / 'run.py', benchmark_file.parent / 'images'
    cfg.dump(config)
    monkeypatch.setattr(sys, 'argv', ['write_images', str(config), '--out', str(out)])
    write_images.main()
    # Of 47 training images, 3 + 1 are held out for validation.
    written = {cv2.imread(str(path)).tobytes() for path in out.iterdir()}
    folder = benchmark_file.parent / 'data/train'
    source = {cv2.imread(str(path)).tobytes() for path in folder.rglob('*.png')}
    assert len(written) == 43 and written < source


def test_missing_environment_is_named(benchmark_file, monkeypatch, capsys):
    text = benchmark_file.read_text().replace(sys.executable, 'work_dirs/no/bin/python')
    benchmark_file.write_text(text)
    monkeypatch.setattr(runs, 'prepare', lambda run: None)
    with pytest.raises(SystemExit):
        tool.main([str(benchmark_file), '--seeds', '0'])
    assert 'work_dirs/no/bin/python, the environment of' in capsys.readouterr().out


@pytest.mark.slow
def test_its_student_is_evaluated_like_the_others(benchmark_file, monkeypatch):
    packages = benchmark_file.parent / 'packages'
    packages.mkdir()
    (packages / 'lightly_train.py').write_text(STAND_IN)
    monkeypatch.setenv('PYTHONPATH', str(packages))
    tool.main([str(benchmark_file), '--seeds', '0'])
    work = benchmark_file.parent / 'work'
    folder = work / 'runs/lightly_train_seed0'
    given = json.loads((folder / 'lightly_train/given.json').read_text())
    assert given['optim_args'] == dict(lr=0.1)
    # Four iterations of 8 of the 43 images; five batches are an epoch.
    assert (given['epochs'], given['trainer_args']) == (1, dict(max_steps=4))
    # The mean of CLIP, of pixels from 0 to 1.
    assert np.allclose(
        given['transform_args']['normalize']['mean'],
        [0.48145466, 0.4578275, 0.40821073],
        atol=1e-6,
    )
    weights = torch.load(folder / 'backbone.pth', weights_only=True)['state_dict']
    assert (weights['backbone.layer0.conv.weight'] == 0.5).all()
    result = json.loads((folder / 'result.json').read_text())
    assert result['training']['iterations'] == 4
    # Writing the images is not part of the cost.
    assert result['training']['preparation_seconds'] == 0
    # A network of equal weights has equal features up to rounding: it does not know
    # the classes, 8 of 14 images at most are right.
    assert result['evaluations']['test/knn']['values']['top1'] <= 100 * 8 / 14 + 0.1
