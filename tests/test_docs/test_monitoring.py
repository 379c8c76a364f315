"""The logging services that docs/monitoring.md names are backends of mmengine."""

import pytest

from mmlgd.cli import train
from mmlgd.utils.run_config import read_config
from tests.test_docs.commands import ROOT, commands

BACKENDS = [
    command.words
    for command in commands()[0]
    if command.page == 'docs/monitoring.md' and 'vis_backends' in command.text
]


@pytest.mark.parametrize('words', BACKENDS, ids=lambda words: words[-1][-40:])
def test_backends_are_known_to_mmengine(words):
    args = train.parse_args(list(words[2:]))
    cfg = read_config(str(ROOT / args.config), args.cfg_options, ['visualizer'])
    local, other = cfg.visualizer.vis_backends
    assert local.type == 'LocalVisBackend'
    assert other.type in ('WandbVisBackend', 'MLflowVisBackend')


def test_two_services_are_shown():
    assert len(BACKENDS) == 2
