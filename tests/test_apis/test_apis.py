import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mmlgd.apis import ZeroShotClassifier, load_backbone
from mmlgd.errors import BankError, CheckpointError, DataError
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyTeacher

SORTED = sorted(NAMES)


class Trap:
    def __reduce__(self):
        return (exec, ('raise RuntimeError("unpickled")',))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    root = write_images(tmp_path_factory.mktemp('images'))
    work_dir = tmp_path_factory.mktemp('run')
    runner = Runner.from_cfg(toy_run_cfg(root, work_dir))
    runner.train()
    runner.model.eval()
    return root, work_dir, runner.model


@pytest.mark.parametrize('name', ['epoch_2.pth', 'backbone.pth'])
def test_backbone_is_built_and_equal(run, name):
    _, work_dir, model = run
    backbone = load_backbone(work_dir / name)
    assert not backbone.training
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(backbone.state_dict()[key], value)


def test_backbone_of_another_architecture_is_refused(run):
    _, work_dir, _ = run
    with pytest.raises(CheckpointError, match='do not fit a ToyBackbone'):
        load_backbone(work_dir / 'backbone.pth', width=13)
    with pytest.raises(CheckpointError, match='do not fit a ResNet'):
        load_backbone(
            work_dir / 'backbone.pth', dict(type='mmpretrain.ResNet', depth=18)
        )


def test_files_that_are_no_checkpoint_are_refused(run, tmp_path):
    _, work_dir, _ = run
    with pytest.raises(CheckpointError, match='There is no checkpoint'):
        load_backbone(tmp_path / 'none.pth')
    (tmp_path / 'page.pth').write_text('<!DOCTYPE html><html></html>')
    with pytest.raises(CheckpointError, match='web page saved under this name'):
        load_backbone(tmp_path / 'page.pth')
    # Unpickling it would run code; mmengine's own loader would do so after a warning.
    torch.save(dict(state_dict={}, extra=Trap()), tmp_path / 'trap.pth')
    with pytest.raises(CheckpointError, match='more than weights'):
        load_backbone(tmp_path / 'trap.pth')
    torch.save(dict(state_dict={'encoder.w': torch.ones(1)}), tmp_path / 'other.pth')
    with pytest.raises(
        CheckpointError, match='no key under `backbone.`, only under encoder.'
    ):
        load_backbone(tmp_path / 'other.pth', dict(type='ToyBackbone'))
    with pytest.raises(CheckpointError, match='does not carry the config of its backbone'):
        load_backbone(tmp_path / 'other.pth')


def test_classifier_agrees_with_the_model(run):
    root, work_dir, model = run
    classifier = ZeroShotClassifier(work_dir / 'epoch_2.pth')
    assert classifier.category_names == SORTED
    inputs = torch.randn(3, 3, 16, 16)
    expected = [sample.pred_score for sample in model(inputs, mode='predict')]
    torch.testing.assert_close(classifier.scores(inputs), torch.stack(expected))

    image = sorted((root / 'train').glob('*.png'))[0]
    (named,) = classifier([image], topk=4)
    assert sorted(name for name, _ in named) == SORTED
    assert sum(score for _, score in named) == pytest.approx(1, abs=1e-5)
    assert [score for _, score in named] == sorted((s for _, s in named), reverse=True)


def test_classifier_preprocesses_as_validation_does(run):
    _, work_dir, model = run
    classifier = ZeroShotClassifier(work_dir / 'epoch_2.pth')
    # 16 x 16 already: neither resized nor cropped, so normalisation is all there is.
    bgr = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    rgb = torch.tensor(bgr[..., ::-1].copy()).permute(2, 0, 1).float()
    mean = torch.tensor(ToyTeacher.image_mean).view(3, 1, 1)
    std = torch.tensor(ToyTeacher.image_std).view(3, 1, 1)
    expected = classifier.scores(((rgb - mean) / std)[None])
    torch.testing.assert_close(classifier.scores([bgr]), expected)


def test_classifier_under_other_names(run, tmp_path):
    _, work_dir, _ = run
    classifier = ZeroShotClassifier(
        work_dir / 'epoch_2.pth', categories=['wolf', 'bear'], templates=['{}']
    )
    inputs = torch.randn(2, 3, 16, 16)
    rows = ToyTeacher().encode_text(['wolf', 'bear'])
    expected = (classifier.student.embed(inputs) @ rows.T / 0.2).softmax(1)
    torch.testing.assert_close(classifier.scores(inputs), expected.detach())
    with pytest.raises(BankError, match='There is no bank file'):
        ZeroShotClassifier(
            work_dir / 'epoch_2.pth', ['wolf'], bank_file=tmp_path / 'x.pth'
        )


def test_classifier_of_a_method_without_names(run, tmp_path):
    bank = dict(
        type='TextualSemanticsBank', categories=SORTED, templates=['a {}.', 'the {}.']
    )
    cfg = dict(
        type='SEED',
        teacher=dict(type='ToyTeacher'),
        backbone=dict(type='ToyBackbone'),
        queue_size=8,
        zero_shot_bank=bank,
    )
    runner = Runner.from_cfg(toy_run_cfg(run[0], tmp_path, cfg))
    runner.train()
    runner.model.eval()
    checkpoint = tmp_path / 'epoch_2.pth'
    with pytest.raises(CheckpointError, match='without category names'):
        ZeroShotClassifier(checkpoint)
    classifier = ZeroShotClassifier(
        checkpoint, categories=SORTED, templates=bank['templates']
    )
    inputs = torch.randn(3, 3, 16, 16)
    expected = [sample.pred_score for sample in runner.model(inputs, mode='predict')]
    torch.testing.assert_close(classifier.scores(inputs), torch.stack(expected))


def test_classifier_needs_a_training_checkpoint(run):
    with pytest.raises(CheckpointError, match='not the exported backbone'):
        ZeroShotClassifier(run[1] / 'backbone.pth')


def test_classifier_names_the_file_that_is_no_image(run, tmp_path):
    (tmp_path / 'no.png').write_text('text')
    classifier = ZeroShotClassifier(run[1] / 'epoch_2.pth')
    with pytest.raises(DataError, match='no.png'):
        classifier([tmp_path / 'no.png'])
