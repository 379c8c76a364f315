"""The Runner of the tools: quiet at start-up, with early checks of the data."""

from collections import Counter
from pathlib import Path
from typing import ClassVar
from urllib.error import URLError

import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmlgd.errors import DataError
from mmlgd.utils.config_types import class_name
from mmlgd.utils.dataset_configs import innermost_datasets
from mmlgd.utils.launch import first_on_each_machine
from mmlgd.utils.loaders import check_batches
from mmlgd.utils.quiet import capture_prints, log_prints, mute_terminal
from mmlgd.utils.worker_signals import shield_workers

_STOCK_LOOPS = ('EpochBasedTrainLoop', 'IterBasedTrainLoop')


class ToolRunner(Runner):
    """A Runner that shows only warnings on the terminal until a hook opens it.

    The log file contains everything. One rank of each machine builds the model first,
    so that only it downloads weights.
    """

    #: Timestamps of this process's runners.
    _timestamps: ClassVar[Counter] = Counter()

    def setup_env(self, env_cfg: dict) -> None:
        """Set up the environment, with a timestamp that no runner of this process has.

        mmengine names log folders, and the logger, message hub and visualizer of a
        process, by the second: a second run within it would continue those of the first.
        """
        super().setup_env(env_cfg)
        repeated = self._timestamps[self._timestamp]
        self._timestamps[self._timestamp] += 1
        if repeated:
            self._timestamp += f'_{repeated}'

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger, and keep the terminal quiet."""
        logger = super().build_logger(*args, **kwargs)
        mute_terminal(logger)
        log_prints(logger)
        return logger

    def dump_config(self) -> None:
        """Write the config to the work dir, unless it was read from there.

        The log and the visualizer's folder contain it with all options applied.
        """
        source = self.cfg.filename
        target = Path(self.work_dir) / Path(source or '').name
        if not (source and target.is_file() and target.samefile(source)):
            super().dump_config()

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, *args, **kwargs) -> DataLoader:
        """Build a data loader.

        Raises:
            DataError: Its dataset is not on disk and cannot be downloaded.
        """
        try:
            return Runner.build_dataloader(dataloader, *args, **kwargs)
        except URLError as error:
            parts = innermost_datasets(dataloader['dataset'])
            found = ', '.join(f'{p.get("type")} in {p.get("data_root")}' for p in parts)
            raise DataError(
                f'The dataset is not on disk ({found}) and cannot be downloaded '
                f'({error.reason}). Put its files there, or set data_root; `make demo` '
                'unpacks those of the demo.'
            ) from error

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build the model, on one rank of each machine first."""
        first = first_on_each_machine(self.launcher, 'loading the weights of the model')
        with first, capture_prints():
            built = super().build_model(model)
        log_prints(self.logger)
        return built


class TrainRunner(ToolRunner):
    """Builds the training data before it loads a teacher."""

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, *args, **kwargs) -> DataLoader:
        """Build a data loader whose workers survive the signals of a scheduler."""
        loader = ToolRunner.build_dataloader(dataloader, *args, **kwargs)
        shield_workers(loader)
        return loader

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build the training data, then the model.

        Raises:
            ConfigError: There is no batch to train on.
        """
        # A loop of another library may need the model.
        kind = self.cfg.train_cfg.get('type', 'EpochBasedTrainLoop')
        if class_name(kind) in _STOCK_LOOPS:
            # Keep the random state, so that the model's weights are those of any Runner.
            with torch.random.fork_rng(devices=[]):
                _ = self.train_loop
        return super().build_model(model)

    def scale_lr(
        self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None
    ) -> None:
        """Scale the learning rate to the global batch, also if its shares are unequal."""
        sampler = self.cfg.train_dataloader.get('sampler') or {}
        size = sampler.get('global_batch_size')
        if not size or not auto_scale_lr or not auto_scale_lr.get('enable'):
            return super().scale_lr(optim_wrapper, auto_scale_lr)
        ratio = float(size) / float(auto_scale_lr['base_batch_size'])
        self.logger.info(f'The learning rate is scaled by {ratio} for {size} images.')
        for group in optim_wrapper.optimizer.param_groups:
            group['lr'] = group['lr'] * ratio

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop; one by epochs can be resumed within an epoch.

        Raises:
            ConfigError: There is no batch to train on.
        """
        if isinstance(loop, dict) and (
            loop.get('by_epoch')
            or class_name(loop.get('type', '')) == 'EpochBasedTrainLoop'
        ):
            options = {key: loop[key] for key in loop if key != 'by_epoch'}
            loop = dict(options, type='mmlgd.ResumableEpochLoop')
        loop = super().build_train_loop(loop)
        # Other loops draw images endlessly.
        if isinstance(loop, EpochBasedTrainLoop):
            check_batches(loop.dataloader)
        return loop
