import io

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from PIL import Image

from mmlgd.apis import ZeroShotClassifier, load_backbone
from mmlgd.errors import BankError, CheckpointError, ConfigError, DataError
from tests.evil_files import write_trap
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyTeacher

SORTED = sorted(NAMES)


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
    with pytest.raises(CheckpointError, match='do not match a ToyBackbone'):
        load_backbone(work_dir / 'backbone.pth', width=13)
    with pytest.raises(CheckpointError, match='do not match a ResNet'):
        load_backbone(
            work_dir / 'backbone.pth', dict(type='mmpretrain.ResNet', depth=18)
        )


def test_files_that_are_not_checkpoints_are_refused(run, tmp_path):
    _, work_dir, _ = run
    with pytest.raises(CheckpointError, match='There is no checkpoint'):
        load_backbone(tmp_path / 'none.pth')
    (tmp_path / 'page.pth').write_text('<!DOCTYPE html><html></html>')
    with pytest.raises(CheckpointError, match='web page saved under this name'):
        load_backbone(tmp_path / 'page.pth')
    # Unpickling it would run code; mmengine's loader would do so after a warning.
    write_trap(tmp_path / 'trap.pth', tmp_path / 'it_ran')
    with pytest.raises(CheckpointError, match='other than weights'):
        load_backbone(tmp_path / 'trap.pth')
    assert not (tmp_path / 'it_ran').exists()
    torch.save(dict(state_dict={'encoder.w': torch.ones(1)}), tmp_path / 'other.pth')
    with pytest.raises(
        CheckpointError, match='no key under `backbone.`, only under encoder.'
    ):
        load_backbone(tmp_path / 'other.pth', dict(type='ToyBackbone'))
    with pytest.raises(
        CheckpointError, match='does not contain the config of its backbone'
    ):
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
    # Already 16 x 16: neither resized nor cropped, only normalised.
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
            work_dir / 'epoch_2.pth', ['wolf', 'bear'], bank_file=tmp_path / 'x.pth'
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


def test_classifier_names_the_file_that_is_not_an_image(run, tmp_path):
    (tmp_path / 'no.png').write_text('text')
    classifier = ZeroShotClassifier(run[1] / 'epoch_2.pth')
    with pytest.raises(DataError, match='no.png'):
        classifier([tmp_path / 'no.png'])


@pytest.fixture(scope='module')
def classifier(run):
    return ZeroShotClassifier(run[1] / 'epoch_2.pth')


@pytest.fixture
def rewrite(run, tmp_path):
    """Write a changed copy of the checkpoint."""

    def write(change):
        contents = torch.load(run[1] / 'epoch_2.pth', weights_only=True)
        change(contents)
        torch.save(contents, tmp_path / 'changed.pth')
        return tmp_path / 'changed.pth'

    return write


def picture(size=16):
    rng = np.random.default_rng(3)
    return rng.integers(0, 255, (size, size, 3), dtype=np.uint8)


def test_the_checkpoint_is_enough_without_its_config_text(run, classifier, rewrite):
    path = rewrite(lambda contents: contents['meta'].pop('cfg'))
    found = ZeroShotClassifier(path).scores(picture())
    assert torch.equal(found, classifier.scores(picture()))


@pytest.mark.parametrize('evil', [False, True])
def test_a_file_of_the_first_release(classifier, rewrite, tmp_path, evil):
    """Its configs are only in the text, its histories are objects of mmengine."""
    sign = tmp_path / 'it_ran'

    def age(contents):
        meta = contents['meta']
        for key in ('test_pipeline', 'projector', 'neck', 'student_temperature'):
            meta.pop(key, None)
        if evil:
            meta['cfg'] = f'import os; os.mkdir({str(sign)!r})\n' + meta['cfg']
        hub = contents['message_hub']
        hub['log_scalars'] = dict(a=HistoryBuffer([1.0], [1]))

    path = rewrite(age)
    if evil:
        with pytest.raises(
            CheckpointError, match='has code .Import., which is not executed'
        ):
            ZeroShotClassifier(path)
        assert not sign.exists()
        # All data needed for the backbone are present.
        assert load_backbone(path) is not None
    else:
        found = ZeroShotClassifier(path).scores(picture())
        assert torch.equal(found, classifier.scores(picture()))


@pytest.mark.parametrize(
    'change',
    [
        dict(backbone=dict(type='os.system', command='true')),
        dict(backbone=dict(type='subprocess.Popen', args='true')),
        dict(projector=dict(type='some_evil_package.Projector')),
        dict(neck=dict(type='mmlgd.OpenCLIPTeacher', model_name='RN50')),
        dict(test_pipeline=[dict(type='LoadImageFromFile')]),
        dict(test_pipeline=[dict(type='PackInputs', input_key=3)]),
        dict(backbone=dict(type='ToyBackbone', width=-1)),
        dict(backbone=dict(type='ToyBackbone', depth=3)),
        dict(image_mean=['1', '2', '3']),
        dict(image_size=-1),
        dict(student_temperature=float('nan')),
        dict(category_names=['cat', 'dog']),
        dict(default_scope='some_evil_package'),
    ],
    ids=str,
)
def test_invalid_meta_names_the_file(rewrite, change):
    path = rewrite(lambda contents: contents['meta'].update(change))
    with pytest.raises(CheckpointError, match='changed.pth'):
        ZeroShotClassifier(path)


def test_weights_to_start_from_are_neither_fetched_nor_kept(rewrite):
    fetch = dict(type='Pretrained', checkpoint='http://host/evil.pth')
    backbone = dict(
        type='mmpretrain.ResNet', depth=18, out_indices=(3,), init_cfg=fetch
    )

    def replace(contents):
        for key in [k for k in contents['state_dict'] if k.startswith('backbone.')]:
            del contents['state_dict'][key]
        from mmpretrain.models import ResNet

        state = ResNet(depth=18).state_dict()
        contents['state_dict'].update({f'backbone.{k}': v for k, v in state.items()})
        contents['meta']['backbone'] = backbone

    module = load_backbone(rewrite(replace))
    assert 'Pretrained' not in str(module.init_cfg)


def test_missing_meta_is_named_and_can_be_passed(rewrite, classifier):
    keys = ('image_mean', 'test_pipeline', 'cfg')
    path = rewrite(lambda contents: [contents['meta'].pop(key) for key in keys])
    with pytest.raises(
        CheckpointError, match='changed.pth does not have test_pipeline'
    ):
        ZeroShotClassifier(path)
    pipeline = dict(test_pipeline=[dict(type='mmpretrain.PackInputs')])
    with pytest.raises(
        CheckpointError, match=r'image_mean.*meta=dict\(image_mean=...\)'
    ):
        ZeroShotClassifier(path, meta=pipeline)
    meta = dict(pipeline, image_mean=ToyTeacher.image_mean)
    found = ZeroShotClassifier(path, meta=meta).scores(picture())
    torch.testing.assert_close(found, classifier.scores(picture()))


def test_weights_that_are_not_finite_are_refused(rewrite):
    def spoil(contents):
        contents['state_dict']['backbone.conv.bias'][0] = float('nan')

    path = rewrite(spoil)
    for use in (load_backbone, ZeroShotClassifier):
        with pytest.raises(
            CheckpointError, match='`backbone.conv.bias` in .*changed.pth'
        ):
            use(path)


def test_a_half_precision_checkpoint_gives_nearly_the_same(rewrite, classifier):
    def halve(contents):
        state = contents['state_dict']
        state.update({k: v.half() for k, v in state.items() if v.is_floating_point()})

    found = ZeroShotClassifier(rewrite(halve)).scores(picture())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, classifier.scores(picture()), atol=0.01, rtol=0)


def test_one_image_of_any_kind_gives_a_list_of_one(classifier, tmp_path):
    bgr = picture()
    cv2.imwrite(str(tmp_path / 'a.png'), bgr)
    data = (tmp_path / 'a.png').read_bytes()
    wanted = classifier([bgr], topk=4)
    assert len(wanted) == 1
    for image in (
        bgr,
        str(tmp_path / 'a.png'),
        tmp_path / 'a.png',
        tmp_path,
        data,
        io.BytesIO(data),
        Image.open(tmp_path / 'a.png'),
    ):
        assert classifier(image, topk=4) == wanted, type(image)
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    assert classifier(rgb, topk=4, channel_order='rgb') == wanted
    assert classifier(rgb, topk=4) != wanted


def test_no_image_gives_an_empty_result(classifier):
    assert classifier([]) == []
    assert classifier.scores(iter([])).shape == (0, 4)


def test_batches_do_not_change_results_and_bound_memory(classifier, monkeypatch):
    images = [picture(size) for size in range(16, 27)]
    wanted = classifier.scores(images)
    sizes = []
    embed = classifier.student.embed
    monkeypatch.setattr(
        classifier.student, 'embed', lambda x: sizes.append(len(x)) or embed(x)
    )
    torch.testing.assert_close(classifier.scores(images, batch_size=4), wanted)
    assert sizes == [4, 4, 3]
    normalised = torch.randn(5, 3, 16, 16)
    classifier.scores(normalised, batch_size=2)
    assert sizes[3:] == [2, 2, 1]


@pytest.mark.parametrize('topk', [0, -1, 2.0, True, '1', None, 5])
def test_topk_out_of_range_is_refused(classifier, topk):
    with pytest.raises(ConfigError, match='topk'):
        classifier(picture(), topk=topk)


def test_topk_above_the_names_says_how_many_there_are(classifier):
    with pytest.raises(ConfigError, match='topk is 5, but there are only 4 names'):
        classifier(picture(), topk=5)


def test_normalised_tensors_are_checked(classifier):
    one = torch.randn(3, 16, 16)
    assert torch.equal(classifier.scores(one), classifier.scores(one[None]))
    for bad in (torch.randn(16, 16), torch.randn(1, 4, 16, 16), one / 0):
        with pytest.raises(DataError):
            classifier.scores(bad)


def test_an_unusable_device_is_refused(run):
    for device in ('gpu', 'cuda:99', 'meta:x'):
        with pytest.raises(ConfigError, match='device='):
            ZeroShotClassifier(run[1] / 'epoch_2.pth', device=device)


def test_prompts_are_encoded_on_the_chosen_device(run, monkeypatch):
    moved = []
    move = ToyTeacher.to
    monkeypatch.setattr(
        ToyTeacher,
        'to',
        lambda self, device: moved.append(device) or move(self, device),
    )
    ZeroShotClassifier(run[1] / 'epoch_2.pth', ['wolf', 'bear'], device='cpu')
    assert moved == [torch.device('cpu')]


def test_another_teacher_than_the_students_is_refused(run, rewrite):
    names = ['wolf', 'bear']
    with pytest.raises(BankError, match='was distilled from ToyTeacher'):
        ZeroShotClassifier(
            run[1] / 'epoch_2.pth', names, teacher=dict(type='ToyTeacher', seed=1)
        )
    path = rewrite(lambda contents: contents['meta'].pop('teacher_config'))
    with pytest.raises(
        CheckpointError, match='does not contain the config of its teacher'
    ):
        ZeroShotClassifier(path, names)
    wanted = ZeroShotClassifier(run[1] / 'epoch_2.pth', names).scores(picture())
    for teacher in (dict(type='ToyTeacher'), ToyTeacher()):
        found = ZeroShotClassifier(path, names, teacher=teacher).scores(picture())
        assert torch.equal(found, wanted)


def test_a_pipeline_for_gray_data_takes_images(rewrite, tmp_path):
    """Like that of the demo, whose dataset returns (H, W) arrays."""
    pipeline = [dict(type='mmlgd.GrayToBGR'), dict(type='mmpretrain.PackInputs')]
    path = rewrite(lambda contents: contents['meta'].update(test_pipeline=pipeline))
    classifier = ZeroShotClassifier(path)
    gray = cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY)
    wanted = classifier.scores(gray)
    cv2.imwrite(str(tmp_path / 'gray.png'), gray)
    torch.testing.assert_close(classifier.scores(tmp_path / 'gray.png'), wanted)
    torch.testing.assert_close(classifier.scores(picture()), wanted)


def test_a_pipeline_for_data_of_one_size_takes_images_of_any(rewrite):
    pipeline = [dict(type='mmpretrain.PackInputs')]
    path = rewrite(lambda contents: contents['meta'].update(test_pipeline=pipeline))
    classifier = ZeroShotClassifier(path)
    small = picture()
    large = cv2.resize(small, (48, 48), interpolation=cv2.INTER_NEAREST)
    wanted = classifier.scores(small)
    found = classifier.scores([small, large])
    torch.testing.assert_close(found[:1], wanted)
    assert (found[1] - wanted[0]).abs().max() < 0.1


def test_weights_of_an_unbuilt_bank_are_refused(rewrite):
    def empty(contents):
        contents['state_dict']['textual_bank.embeddings'].zero_()

    with pytest.raises(CheckpointError, match='before its textual bank was built'):
        ZeroShotClassifier(rewrite(empty))


@pytest.mark.slow
def test_a_test_of_the_exported_backbone_is_refused(run, tmp_path):
    """Its projector would be random, with only a warning about missing keys."""
    root, work_dir, _ = run
    cfg = toy_run_cfg(root, tmp_path / 'test')
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    cfg.test_cfg = {}
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        cfg.pop(key)
    cfg.load_from = str(work_dir / 'backbone.pth')
    with pytest.raises(CheckpointError, match='missing: projector.*exported backbone'):
        Runner.from_cfg(cfg).test()
    cfg.load_from = str(work_dir / 'epoch_2.pth')
    cfg.experiment_name = 'whole'
    assert 'zero_shot/student_top1' in Runner.from_cfg(cfg).test()
