"""The tool that counts what students cost."""

import json

import pytest

from mmlgd.errors import ConfigError
from tests.test_tools.test_outputs import load


def test_prints_and_writes_the_counts(tmp_path, capsys):
    out = tmp_path / 'flops.json'
    tool = load('analysis_tools/get_flops.py')
    tool.main(
        f'configs/lgd/r50_timm.py --size 64 --out {out} '
        '--cfg-options model.backbone.model_name=mobilenetv4_conv_small_035'.split()
    )
    found = json.loads(out.read_text())['r50_timm']
    assert found['image_size'] == 64
    # A convolution of 3 x 3 from 3 to 32 channels on 32 x 32 places is in it, at least.
    assert found['macs'] > 32 * 32 * 3 * 9 * 32
    assert found['deployed_macs'] == found['macs']
    assert f'{found["parameters"] / 1e6:.2f}' in capsys.readouterr().out


def test_a_size_that_does_not_pass_is_refused(tmp_path):
    tool = load('analysis_tools/get_flops.py')
    arguments = f'configs/lgd/r50_vit_tiny_patch16_224.py --size 65 --out {tmp_path}/o'
    with pytest.raises(ConfigError, match='does not support images of 65 pixels'):
        tool.main(arguments.split())
