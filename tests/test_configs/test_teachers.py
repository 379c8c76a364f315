"""Every teacher's base, with its published tag, in fewer layers and without network."""

import json
import sys
import types

import open_clip
import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.registry import DATASETS, MODELS, TRANSFORMS
from mmlgd.utils.run_config import read_config
from tests.helpers import tiny_teacher_cfg
from tests.test_configs.shrink import CONFIGS

BASES = CONFIGS / '_base_/teachers'
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5,) * 3, (0.5,) * 3
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Width D, side, mean and std of 0 to 1, context, whether QuickGELU: from the papers and
# the model cards.
CLIPS = {
    'clip_rn50': (1024, 224, CLIP, 77, True),
    'dfn_vitb16': (512, 224, CLIP, 77, True),
    'dfn_vitl14': (768, 224, CLIP, 77, True),
    'siglip2_vitb16': (768, 256, HALF, 64, False),
    'siglip2_vitl16': (1024, 256, HALF, 64, False),
    'pe_core_b16': (1024, 224, HALF, 32, False),
    'pe_core_l14': (1024, 336, HALF, 32, False),
    'mobileclip2_s2': (512, 256, ((0.0,) * 3, (1.0,) * 3), 77, False),
    'mobileclip2_s4': (768, 256, CLIP, 77, False),
    'eva02_vitl14': (768, 224, CLIP, 77, False),
}
IMAGES_ONLY = {
    'dinov3_vits16': (384, 256, IMAGENET),
    'dinov3_convnext_tiny': (768, 224, IMAGENET),
    'eupe_vits16': (384, 256, IMAGENET),
}
FASTVIT_STAGES = dict(fastvit_mci2=4, fastvit_mci4=5)
WORDS = ['<pad>', '<eos>', '<unk>', 'a', 'cat', 'dog']


def base(name: str) -> Config:
    return Config.fromfile(BASES / f'{name}.py')


@pytest.fixture
def without_network(monkeypatch, tmp_path):
    """One layer in place of many, random weights in place of a download."""
    create = timm.create_model

    def shallow(name, *args, **kwargs):
        if name.startswith(('vit_', 'eva')):
            kwargs['depth'] = 1
        elif name.startswith('fastvit'):
            kwargs['layers'] = (1,) * FASTVIT_STAGES[name]
        return create(name, *args, **kwargs)

    monkeypatch.setattr('open_clip.timm_model.timm.create_model', shallow)
    configs = open_clip.factory._MODEL_CONFIGS
    shrunk = json.loads(json.dumps({key: configs[key] for key in configs}))
    for config in shrunk.values():
        config['text_cfg']['layers'] = 1
        vision = config['vision_cfg']
        if isinstance(vision.get('layers'), int):
            vision['layers'] = 1
        elif 'layers' in vision:
            vision['layers'] = [1, 1, 1, 1]
        if config['text_cfg'].get('hf_tokenizer_name'):
            config['text_cfg']['vocab_size'] = len(WORDS)
    monkeypatch.setattr('open_clip.factory._MODEL_CONFIGS', shrunk)
    file = tmp_path / 'weights.bin'
    file.touch()
    asked = []

    def download(cfg, *args, **kwargs):
        asked.append(cfg)
        return str(file)

    monkeypatch.setattr('open_clip.factory.download_pretrained', download)
    monkeypatch.setattr('open_clip.factory.load_checkpoint', lambda *a, **k: {})
    return asked


@pytest.fixture
def tokenizer(tmp_path, monkeypatch):
    """A local folder, and a reader of it where transformers is not installed."""
    folder = tmp_path / 'tokenizer'
    folder.mkdir()
    (folder / 'tokenizer_config.json').write_text(json.dumps(WORDS))

    class Words:
        def __init__(self, place, **kwargs):
            with open(f'{place}/tokenizer_config.json') as file:
                self.words = json.load(file)

        def __len__(self):
            return len(self.words)

        def __call__(self, texts, max_length, **kwargs):
            ids = [[self.words.index(word) for word in text.split()] for text in texts]
            rows = [row + [1] + [0] * (max_length - len(row) - 1) for row in ids]
            return types.SimpleNamespace(input_ids=torch.tensor(rows))

    module = types.ModuleType('transformers')
    module.AutoTokenizer = types.SimpleNamespace(from_pretrained=Words)
    monkeypatch.setitem(sys.modules, 'transformers', module)
    return str(folder)


def test_these_are_all():
    others = {'dinov2_vits14', 'mocov3_r50', 'supervised_r50', 'swav_r50'}
    assert {path.stem for path in BASES.glob('*.py')} == {*CLIPS, *IMAGES_ONLY, *others}


@pytest.mark.parametrize('name', CLIPS)
def test_clip_builds_and_sees_as_it_was_trained(name, without_network, tokenizer):
    width, size, (mean, std), context, quick = CLIPS[name]
    cfg = dict(base(name).teacher)
    if 'SigLIP' in cfg['model_name']:
        cfg['tokenizer'] = tokenizer

    teacher = MODELS.build(cfg)

    assert len(without_network) == 1 and without_network[0]['mean'] == mean
    assert (teacher.embed_dims, teacher.image_size) == (width, size)
    assert teacher.image_mean == pytest.approx([255 * value for value in mean])
    assert teacher.image_std == pytest.approx([255 * value for value in std])
    assert teacher.text.tokenize(['a cat']).shape == (1, context)
    assert ('quickgelu' in teacher.text.name) == quick
    texts = teacher.encode_text(['a cat', 'a dog'])
    images = teacher.encode_image(torch.randn(1, 3, size, size))
    assert texts.shape == (2, width) and images.shape == (1, width)
    assert torch.allclose(texts.norm(dim=1), torch.ones(2), atol=1e-5)
    assert (texts[0] - texts[1]).abs().max() > 1e-6
    assert teacher.logit_scale is not None


@pytest.mark.parametrize('name', CLIPS)
def test_tag_is_published_and_its_preprocessing_is_open_clips(name):
    cfg = base(name)
    _, size, (mean, std), _, _ = CLIPS[name]

    published = open_clip.get_pretrained_cfg(
        cfg.teacher.model_name, cfg.teacher.pretrained
    )

    assert (tuple(published['mean']), tuple(published['std'])) == (mean, std)
    vision = open_clip.get_model_config(cfg.teacher.model_name)['vision_cfg']
    assert vision['image_size'] == size
    temperature = cfg.teacher_temperature
    assert temperature == 'auto' or 0.01 <= temperature <= 0.02


def test_random_weights_have_the_tags_preprocessing(without_network):
    teacher = MODELS.build(dict(base('pe_core_b16').teacher, pretrained=None))

    assert teacher.image_mean == teacher.image_std == [127.5] * 3


@pytest.mark.parametrize('name', IMAGES_ONLY)
def test_teacher_of_timm_builds_and_sees_as_it_was_trained(name, monkeypatch):
    width, size, (mean, std) = IMAGES_ONLY[name]
    create, asked = timm.create_model, []

    def without_weights(name, pretrained, **kwargs):
        asked.append((name, pretrained))
        if name.startswith('vit_'):
            kwargs['depth'] = 1
        return create(name, **kwargs)

    monkeypatch.setattr('timm.create_model', without_weights)
    cfg = base(name).teacher

    teacher = MODELS.build(cfg)

    assert asked == [(f'{cfg.model_name}.{cfg.pretrained}', True)]
    assert (teacher.embed_dims, teacher.image_size) == (width, size)
    assert teacher.image_mean == pytest.approx([255 * value for value in mean])
    assert teacher.image_std == pytest.approx([255 * value for value in std])
    rows = teacher.encode_image(torch.randn(2, 3, size, size))
    assert rows.shape == (2, width)
    assert not teacher.has_text_tower


# Crop of the images, and of the student.
TWO_SIZES = {
    'dfn-vitl14_mbv3': (224, None),
    'siglip2-vitb16_mbv3': (256, 224),
    'pe-core-l14_mbv3': (336, 224),
    'dinov3-vits16_r18': (256, 224),
}


@pytest.mark.parametrize('name', TWO_SIZES)
def test_crops_are_the_teachers_and_the_student_is_smaller(name):
    cfg = read_config(str(CONFIGS / f'lgd/{name}.py'), {}, ['model'])
    init_default_scope('mmlgd')
    crop, student = TWO_SIZES[name]

    assert cfg.model.get('student_size') == student
    pipeline = cfg.train_dataloader.dataset.dataset.pipeline
    assert TRANSFORMS.build(pipeline[0]).scale == (crop, crop)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        edge, center = loader.dataset.pipeline[1:3]
        assert center.crop_size == crop
        # As 256 is to 224.
        assert edge.scale == int(crop * 8 / 7)
    assert DATASETS.get(cfg.train_dataloader.dataset.type)
    known = {**CLIPS, **IMAGES_ONLY}
    stem = name.rsplit('_', 1)[0].replace('-', '_')
    assert known[stem][1] == crop
    base_cfg = base(stem)
    teacher = {key: cfg.model.teacher[key] for key in base_cfg.teacher}
    assert teacher == base_cfg.teacher
    if 'teacher_temperature' in base_cfg:
        assert cfg.model.teacher_temperature == base_cfg.teacher_temperature


def test_config_of_two_sizes_takes_a_step():
    cfg = Config.fromfile(CONFIGS / 'lgd/siglip2-vitb16_mbv3.py')
    init_default_scope('mmlgd')
    cfg.model.update(teacher=tiny_teacher_cfg(), student_size=32)
    cfg.model.textual_bank.update(categories=['cat', 'dog'], templates=['a {}.'])

    model = MODELS.build(cfg.model)
    sizes = []
    model.backbone.register_forward_pre_hook(
        lambda _, args: sizes.append(tuple(args[0].shape[2:]))
    )
    losses = model(torch.randn(2, 3, 64, 64), mode='loss')

    assert sizes == [(32, 32)]
    assert model.teacher_temperature == pytest.approx(0.07, rel=1e-5)
    assert all(value.isfinite() for value in losses.values())
