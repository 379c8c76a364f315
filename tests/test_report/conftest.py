"""A training run with its report, whose names and files contain HTML."""

import pytest
from mmengine.runner import Runner

from tests.runs import toy_run_cfg, write_images
from tests.toys import toy_lgd_cfg

#: As names and, in part, as names of files and folders.
HTML_NAMES = ['<script>alert(1)<script>', 'R&D "q"', 'bird', "fish' onerror='x"]


def report_run_cfg(root, work_dir, names, hook=None, **overrides):
    """The toy run with a ReportHook."""
    cfg = toy_run_cfg(root, work_dir, toy_lgd_cfg(sorted(names)), **overrides)
    if cfg.get('val_dataloader'):
        cfg.val_dataloader.dataset.classes = sorted(names)
    cfg.custom_hooks.append(dict(type='ReportHook', **(hook or {})))
    return cfg


@pytest.fixture(scope='session')
def work_dir(tmp_path_factory):
    """The work dir of a run of two epochs over 16 images, with validation."""
    folder = tmp_path_factory.mktemp('report')
    root = write_images(folder / 'data', names=HTML_NAMES)
    # At this level, mmengine logs the environment.
    cfg = report_run_cfg(root, folder / '<b>run', HTML_NAMES, log_level='INFO')
    Runner.from_cfg(cfg).train()
    return folder / '<b>run'
