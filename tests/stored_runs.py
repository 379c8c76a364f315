"""Complete small runs from stored views, over the toys."""

import json
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.apis.stored_views import prepare_views
from mmlgd.cli import build_stored_views
from mmlgd.stores.build import open_store, write_shards
from tests.runs import toy_run_cfg


def write_store(
    cfg: Config, store: Path, views: int = 2, pixels: tuple[str, int] | None = None
) -> None:
    """Store views of an online run's images, in shards of five rows."""
    init_default_scope('mmlgd')
    source = prepare_views(cfg, 'float16', 5, 'cpu', pixels)
    plan = open_store(store, source.manifest, source.dataset, views)
    write_shards(plan, plan.share(0, 1), source)
    assert plan.seal()


def stored_run_cfg(root: Path, store: Path, work_dir: Path, **overrides) -> Config:
    """The online run's config, but with a store."""
    cfg = toy_run_cfg(root, work_dir, **overrides)
    cfg.model.teacher = dict(
        type='StoredTeacher', store=str(store), teacher=cfg.model.teacher
    )
    cfg.train_dataloader.dataset.update(type='StoredViews', store=str(store))
    cfg.custom_hooks.append(dict(type='StoredViewsHook'))
    return cfg


def build(root: Path, out: Path, *options) -> int:
    """Call the tool with shards of five rows."""
    arguments = ('--out', out, '--shard-size', 5, '--device', 'cpu', *options)
    return build_stored_views.main([str(one) for one in (root / 'cfg.py', *arguments)])


def last_line(capsys) -> dict:
    """The summary; libraries may print before it."""
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def files_of(store: Path) -> dict:
    """Content of each file of a store."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.rglob('*')
        if path.is_file()
    }
