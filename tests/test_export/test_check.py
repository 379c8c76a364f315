"""The check: an exported file against the student, on images of the user."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmlgd.apis import (
    ZeroShotClassifier,
    export_backbone,
    export_classifier,
    export_images,
)
from mmlgd.cli import export as command
from mmlgd.errors import CheckpointError, ConfigError, DataError
from mmlgd.export.check import CheckResult
from mmlgd.export.formats.onnx import OnnxFormat
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES


@pytest.fixture(scope='module')
def distilled(tmp_path_factory):
    """A training checkpoint of the toy LGD, and its images."""
    root = write_images(tmp_path_factory.mktemp('images'))
    work_dir = tmp_path_factory.mktemp('run')
    Runner.from_cfg(toy_run_cfg(root, work_dir)).train()
    return work_dir / 'epoch_2.pth', root


@pytest.fixture
def result():
    return CheckResult(
        format='onnx',
        dtype='int8',
        num_images=40,
        mean_cosine=0.97,
        min_cosine=0.8,
        agreement=0.95,
        accuracy_before=80.0,
        accuracy_after=77.5,
        num_bytes=1_500_000,
        latency_ms=2.0,
        latency_ratio=0.5,
        worst_layer='backbone.conv1',
        worst_layer_cosine=0.9,
    )


def test_accuracies_agreement_and_size(tmp_path, distilled, capsys):
    checkpoint, root = distilled
    out, report = tmp_path / 'out.onnx', tmp_path / 'out.json'
    command.main(
        [
            str(checkpoint),
            *('--format', 'onnx', '--out', str(out), '--part', 'classifier'),
            *('--check', str(root / 'val'), '--labels', '--check-out', str(report)),
        ]
    )
    found = json.loads(report.read_text())
    hits = total = 0
    classifier = ZeroShotClassifier(checkpoint)
    for name in NAMES:
        for ((best, _),) in classifier(root / 'val' / name):
            hits += best == name
            total += 1
    assert found['num_images'] == total == 16
    assert found['accuracy_before'] == pytest.approx(100 * hits / total)
    assert found['accuracy_after'] == found['accuracy_before']
    assert found['agreement'] == 1
    assert found['min_cosine'] == pytest.approx(1, abs=1e-5)
    assert found['num_bytes'] == out.stat().st_size
    assert found['latency_ratio'] > 0
    text = capsys.readouterr().out
    assert 'agreement   100.0 % of the best names' in text


def test_inputs_of_the_graph_get_the_same_images(tmp_path, distilled):
    """With the normalisation in the graph or not, and RGB: scores are the classifier's."""
    checkpoint, root = distilled
    done = [
        export_classifier(
            checkpoint,
            'onnx',
            tmp_path / 'out.onnx',
            fold_preprocessing=folded,
            check=root / 'val',
            labels=True,
        )
        for folded in (None, 'uint8', 'float32')
    ]
    assert len({each.check.accuracy_after for each in done}) == 1


def test_wrong_outputs_are_found(tmp_path, distilled, monkeypatch):
    """A runtime that mixes up the names passes no check."""
    checkpoint, root = distilled
    load, calls = OnnxFormat.load, []

    def wrong(self, path, model):
        run = load(self, path, model)
        calls.append(path)
        # The first call is that of the export, which finds differences itself.
        if len(calls) == 1:
            return run
        return lambda images: [torch.as_tensor(each).flip(1) for each in run(images)]

    monkeypatch.setattr(OnnxFormat, 'load', wrong)
    out = tmp_path / 'out.onnx'
    done = export_classifier(checkpoint, 'onnx', out, check=root / 'val')
    assert done.check.agreement < 0.5
    calls.clear()
    words = [str(checkpoint), '--format', 'onnx', '--out', str(out)]
    words += ['--part', 'classifier', '--check', str(root / 'val')]
    with pytest.raises(CheckpointError, match='agreement of the best names of onnx'):
        command.main(words)


def test_agreement_is_required(result):
    result.require(0.95)
    with pytest.raises(
        CheckpointError,
        match=r'onnx int8 .* 0.9500 on 40 images, below 0.96.*backbone.conv1 \(cosine',
    ):
        result.require(0.96)
    text = result.table()
    for part in ('80.0 % -> 77.5 %', '1.50 MB', '0.50 x float32', '0.9700 (mean)'):
        assert part in text


def test_a_backbone_has_no_names(tmp_path, distilled):
    checkpoint, root = distilled
    out = tmp_path / 'out.onnx'
    found = export_backbone(checkpoint, 'onnx', out, check=root / 'val').check
    assert found.agreement is None
    assert found.mean_cosine == pytest.approx(1, abs=1e-5)
    found.require(0.99)
    words = [str(checkpoint), '--format', 'onnx', '--out', str(out)]
    with pytest.raises(ConfigError, match='--labels cannot be used with --part'):
        command.main([*words, '--check', str(root / 'val'), '--labels'])


def test_many_images_are_thinned_out_evenly(tmp_path, distilled, monkeypatch):
    checkpoint, root = distilled
    monkeypatch.setattr(export_images, 'MAX_CHECK', len(NAMES))
    read = []

    def read_images(model, paths):
        read.extend(Path(path).parent.name for path in paths)
        return torch.zeros(len(paths), 3, *model.image_size)

    monkeypatch.setattr(export_images, 'read_images', read_images)
    out = tmp_path / 'out.onnx'
    export_classifier(checkpoint, 'onnx', out, check=root / 'val', labels=True)
    # One image of each class.
    assert sorted(read) == sorted(NAMES)


def test_images_of_the_check_are_read_before_the_export(tmp_path, distilled):
    checkpoint, root = distilled
    out = tmp_path / 'out.onnx'
    with pytest.raises(DataError, match='does not exist'):
        export_classifier(checkpoint, 'onnx', out, check=tmp_path / 'absent.png')
    with pytest.raises(ConfigError, match='a subfolder per class'):
        files = sorted((root / 'train').iterdir())
        export_classifier(checkpoint, 'onnx', out, check=files, labels=True)
    (tmp_path / 'classes/zebra').mkdir(parents=True)
    with pytest.raises(ConfigError, match='zebra'):
        export_classifier(
            checkpoint, 'onnx', out, check=tmp_path / 'classes', labels=True
        )
    with pytest.raises(DataError, match='no subfolder with images'):
        export_classifier(checkpoint, 'onnx', out, check=root / 'train', labels=True)
    assert not out.exists()


@pytest.mark.slow
def test_int8_names_the_layer_with_the_largest_error(tmp_path, distilled):
    checkpoint, root = distilled
    found = export_classifier(
        checkpoint,
        'onnx',
        tmp_path / 'out.onnx',
        dtype='int8',
        calibration=root / 'train',
        check=root / 'val',
    ).check
    layers = ('backbone.conv', 'projector.layers.0', 'projector.layers.2', 'names')
    assert found.worst_layer.endswith(layers)
    assert 0.5 < found.worst_layer_cosine < 1
