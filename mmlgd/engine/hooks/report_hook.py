"""The report at the end of a training."""

import sys
import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.engine.averaged_weights import swapped_averages
from mmlgd.evaluation import ZeroShotAccuracy
from mmlgd.registry import HOOKS
from mmlgd.utils.checks import check_count
from mmlgd.utils.model import unwrap_model

_MIN_SECONDS, _MAX_SECONDS, _SHARE = 20, 120, 0.02


@HOOKS.register_module()
class ReportHook(Hook):
    """Writes ``report.html`` into the work directory at the end of a training.

    A random sample of the validation images is embedded with student and teacher (of the
    training images, without labels, if the run has no validation), and the result is
    written to ``report.json``; see :func:`~mmlgd.report.measure_sample`. This takes at
    most 2 % of the training's time, but at least 20 and at most 120 seconds; on a GPU
    usually a second. Only the main process works.

    If the report fails, the run is complete all the same: the error is logged as a
    warning, and ``mmlgd report WORK_DIR`` can write the report later.

    Args:
        num_images (int): Size of the sample; 0 measures none. Defaults to 1000.

    Raises:
        ConfigError: ``num_images`` is negative.
    """

    # After the log and the checkpoint that the report reads.
    priority = 'LOWEST'

    def __init__(self, num_images: int = 1000) -> None:
        self.num_images = check_count('ReportHook.num_images', num_images, 0)
        self._begin = 0.0

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._begin = time.monotonic()

    def after_train(self, runner: Runner) -> None:
        """Measure the sample and write the page."""
        if not is_main_process():
            return
        try:
            self._write(runner)
        except Exception as error:
            # The training may have taken days: nothing in a report is worth its exit code.
            runner.logger.warning(
                f'The report could not be written ({type(error).__name__}: {error}). The '
                f'training is complete; to try again: mmlgd report {runner.work_dir}',
                exc_info=True,
            )

    def _write(self, runner: Runner) -> None:
        # Imported here: it needs matplotlib, which takes a second to import.
        from mmlgd.report import collect_run, write_report, write_sample

        model = unwrap_model(runner.model)
        if self.num_images and hasattr(model, 'teacher'):
            sample = self._measure(runner, model)
            write_sample(sample, runner.work_dir)
            if sample.agreement:
                agreed, named = sample.agreement
                runner.logger.info(
                    f'Same name as the teacher: {100 * agreed / named:.1f} % of '
                    f'{named:,} images of {sample.source}'
                )
            if sample.doubt:
                runner.logger.warning(sample.doubt)
        path = Path(runner.work_dir) / 'report.html'
        write_report([collect_run(runner.work_dir)], path)
        runner.logger.info(f'Report: {path}')

    def _measure(self, runner: Runner, model: Any) -> Any:
        from mmlgd.report import measure_sample

        seconds = time.monotonic() - self._begin
        validates = runner.val_loop is not None
        name = 'val_dataloader' if validates else 'train_dataloader'
        loader = getattr(runner, name)
        with swapped_averages(runner):
            sample = measure_sample(
                model,
                loader.dataset,
                name,
                self.num_images,
                min(max(_MIN_SECONDS, _SHARE * seconds), _MAX_SECONDS),
                # A compiled student need not be compiled for another size.
                batch_size=loader.batch_size or 32,
                labelled=validates,
                class_names=_class_names(runner) if validates else None,
            )
        sample.epoch, sample.iter = runner.epoch, runner.iter
        sample.wall_seconds = round(seconds, 2)
        sample.host_memory = _host_memory()
        return sample


def _class_names(runner: Runner) -> Any:
    for metric in getattr(runner.val_evaluator, 'metrics', []):
        if isinstance(metric, ZeroShotAccuracy):
            return metric.class_names
    return None


def _host_memory() -> int | None:
    """Peak memory of this process in MB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == 'darwin' else 2**10))
