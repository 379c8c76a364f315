import pytest
from mmengine.config import Config

from mmlgd.errors import CheckpointError
from mmlgd.utils.checkpoint_meta import CheckpointMeta

META = dict(
    mmlgd_version='0.2.0',
    teacher='ToyTeacher#01234567',
    category_names=['cat', 'dog'],
    image_mean=[1, 2.0, 3],
    image_std=[4.0, 5.0, 6.0],
    image_size=16,
    to_rgb=True,
    backbone=dict(type='ToyBackbone'),
    neck=None,
    student_temperature=0.2,
    test_pipeline=[dict(type='PackInputs')],
    epoch=3,
    anything_else=object(),
)


def test_entries_are_read_as_they_are():
    record = CheckpointMeta.from_meta(META, 'f.pth')
    assert record.preprocessing == ((1, 2, 3), (4, 5, 6), True)
    assert record.student == dict(backbone=dict(type='ToyBackbone'), neck=None)
    assert (record.image_size, record.student_temperature) == (16, 0.2)
    assert CheckpointMeta.from_meta({}, 'f.pth').preprocessing is None


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('image_mean', ['1', '2', '3']),
        ('image_mean', 'abc'),
        ('image_mean', [1, 2]),
        ('image_mean', [1, 2, float('nan')]),
        ('image_mean', [1, 2, 10**400]),
        ('image_std', [1, 2, 0]),
        ('image_std', [1, 2, -1]),
        ('image_size', -1),
        ('image_size', 0),
        ('image_size', 10**9),
        ('image_size', 2.5),
        ('image_size', True),
        ('image_size', (1, 2, 3)),
        ('to_rgb', 'yes'),
        ('to_rgb', 1),
        ('student_temperature', float('nan')),
        ('student_temperature', 0),
        ('student_temperature', '0.2'),
        ('category_names', 'cat'),
        ('category_names', []),
        ('category_names', ['cat', 3]),
        ('backbone', 'ToyBackbone'),
        ('backbone', dict(type='A', x=object())),
        ('test_pipeline', dict(type='PackInputs')),
        ('test_pipeline', ['PackInputs']),
        ('teacher', 3),
        ('default_scope', ['mmlgd']),
    ],
)
def test_wrong_values_are_named_with_the_file(name, value):
    with pytest.raises(CheckpointError, match=rf"f.pth is damaged.* meta\['{name}'\]"):
        CheckpointMeta.from_meta({**META, name: value}, 'f.pth')


def test_missing_entries_are_named_with_what_to_pass():
    meta = {key: META[key] for key in ('backbone', 'to_rgb')}
    record = CheckpointMeta.from_meta(meta, 'f.pth')
    with pytest.raises(
        CheckpointError,
        match=r'f.pth does not have image_mean, image_size.*'
        r'meta=dict\(image_mean=..., image_size=...\)',
    ):
        record.require('image_mean', 'to_rgb', 'image_size')


def test_the_config_text_of_an_older_file_is_parsed_and_never_run(tmp_path):
    sign = tmp_path / 'it_ran'
    old = Config(
        dict(
            model=dict(
                type='LGD', teacher=dict(type='T'), backbone=dict(type='B'), neck=None
            ),
            val_dataloader=dict(dataset=dict(pipeline=[dict(type='PackInputs')])),
        )
    ).pretty_text
    record = CheckpointMeta.from_meta(dict(cfg=old), 'f.pth')
    assert record.student == dict(backbone=dict(type='B'), neck=None)
    assert record.teacher_config == dict(type='T')
    # The default of 0.1.0, which its config texts leave out.
    assert record.student_temperature == 0.2
    assert record.test_pipeline == [dict(type='PackInputs')]

    evil = f'import os; os.mkdir({str(sign)!r})\n{old}'
    record = CheckpointMeta.from_meta(dict(cfg=evil), 'f.pth')
    assert record.backbone is None
    with pytest.raises(
        CheckpointError, match='line 1 has code .Import., which is not executed'
    ):
        record.require('test_pipeline')
    assert not sign.exists()
