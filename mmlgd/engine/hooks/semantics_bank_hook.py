"""Preparation of the semantics banks, and their statistics."""

from functools import partial

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmlgd.errors import BankError, ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.first_rank import on_first_rank
from mmlgd.utils.identity import explain_difference, same_identity
from mmlgd.utils.image_size import check_image_size
from mmlgd.utils.model import unwrap_model

from .zero_shot_evaluation import match_names, report_classes, teacher_is_known

DEFAULT_CACHE_DIR = '~/.cache/mmlgd/text_banks'


@HOOKS.register_module()
class SemanticsBankHook(Hook):
    """Builds or loads the textual banks before training, and logs statistics.

    Before the first iteration, a bank is loaded from the first available of the resumed
    checkpoint, ``bank_file`` (for the first bank of the model) and the cache, or is
    built with the teacher's text tower. The tower is then released from memory. All
    ranks get the banks of rank 0. For a distiller without banks, only the tower is
    released.

    During training, it logs the model's ``statistics()`` at every ``interval``. For LGD
    these are ``categories_hit`` (number of visual anchors ever hit),
    ``assignment_entropy`` (nats) and ``teacher_student_agreement`` (share of images
    whose most similar name is the same for both).

    Before training, validation and test, it matches the classes of the evaluated dataset
    with the names, see :func:`~mmlgd.evaluation.match_dataset`. From the second
    validation on, the teacher is not run if ``ZeroShotAccuracy`` knows its accuracies.
    The accuracy of each class is written to the folder of the log.

    Args:
        bank_file (str, optional): A file written by tools/build_text_bank.py.
            Defaults to None.
        cache_dir (str, optional): Folder of cached banks; None disables the cache.
            Defaults to '~/.cache/mmlgd/text_banks'.
        interval (int): Iterations between two log entries. Defaults to 50.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        bank_file: str | None = None,
        cache_dir: str | None = DEFAULT_CACHE_DIR,
        interval: int = 50,
    ) -> None:
        self.bank_file = bank_file
        self.cache_dir = cache_dir
        self.interval = interval
        self._ready = False

    def before_train(self, runner: Runner) -> None:
        """Check image sizes, prepare the banks, check names of the validation set.

        Raises:
            BankError: The bank file or the resumed bank does not match.
            ConfigError: The teacher does not accept the size of the crops, or the
                validation set has other categories than the bank.
            DataError: The validation set is empty or its labels match no class.
        """
        model = unwrap_model(runner.model)
        check_image_size(model, runner.train_dataloader.dataset, 'train_dataloader')
        if runner.val_loop is not None:
            _check_predicted(model, runner.val_dataloader, 'val_dataloader')
        self._prepare(runner)
        if runner.val_loop is not None:
            match_names(model, runner.val_loop, 'val_dataloader')

    def before_val(self, runner: Runner) -> None:
        """Prepare the banks of a run that only validates; run the teacher only once."""
        model = unwrap_model(runner.model)
        if not self._ready:
            _check_predicted(model, runner.val_dataloader, 'val_dataloader')
        self._prepare(runner)
        match_names(model, runner.val_loop, 'val_dataloader')
        self._predict_teacher = model.predict_teacher
        if teacher_is_known(runner.val_loop):
            model.predict_teacher = False

    def after_val(self, runner: Runner) -> None:
        """Restore the model's ``predict_teacher``."""
        unwrap_model(runner.model).predict_teacher = self._predict_teacher

    def before_test(self, runner: Runner) -> None:
        """Prepare the banks of a run that only tests."""
        model = unwrap_model(runner.model)
        _check_predicted(model, runner.test_dataloader, 'test_dataloader')
        self._prepare(runner)
        match_names(model, runner.test_loop, 'test_dataloader')

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Write the accuracy of each class to the folder of the log."""
        report_classes(runner, runner.val_loop, 'val', metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """See :meth:`after_val_epoch`."""
        report_classes(runner, runner.test_loop, 'test', metrics)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check that the checkpoint was distilled from the same teacher.

        The weights and the preprocessing are compared, not the name of the weight file
        or tag. The bank itself checks the names when its state is loaded.

        Raises:
            BankError: The teachers differ.
        """
        meta = checkpoint.get('meta', {})
        teacher = unwrap_model(runner.model).teacher
        found, wanted = meta.get('teacher'), teacher.identity
        if found is not None and not same_identity(found, wanted):
            raise BankError(
                f'The checkpoint was distilled from {found}, but the teacher of the config '
                f'is {wanted}, and its embeddings do not match the banks; set the same '
                f'teacher, or start a new run.{explain_difference(found, wanted)}'
            )
        for name in ('image_mean', 'image_std', 'image_size'):
            if name in meta and not _is_close(meta[name], getattr(teacher, name)):
                raise BankError(
                    f'The checkpoint was distilled with {name}={meta[name]} of the teacher, '
                    f'but that of the config has {getattr(teacher, name)}; set the same '
                    'teacher, or start a new run.'
                )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Log the statistics of the interval."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        for name, value in unwrap_model(runner.model).statistics().items():
            runner.message_hub.update_scalar(f'train/{name}', value)

    def after_train(self, runner: Runner) -> None:
        """Log the categories to which no image was ever assigned."""
        model = unwrap_model(runner.model)
        if not hasattr(model, 'visual_bank'):
            return
        seen = model.visual_bank.seen.tolist()
        missed = [
            n for n, hit in zip(model.textual_bank.category_names, seen) if not hit
        ]
        if missed:
            shown = ', '.join(missed[:10]) + (', ...' if len(missed) > 10 else '')
            runner.logger.info(
                f'{len(missed)} of {len(seen)} categories were never hit: {shown}'
            )

    def _prepare(self, runner: Runner) -> None:
        if self._ready:
            return
        self._ready = True
        model = unwrap_model(runner.model)
        on_first_rank(
            partial(self._build_banks, model, runner), 'encoding the category names'
        )
        for bank in model.text_banks:
            broadcast(bank.embeddings)
            bank.built = True
            names = len(bank.category_names)
            runner.logger.info(f'Textual semantics bank ready: {names} names.')
        model.teacher.release_text_tower()

    def _build_banks(self, model: nn.Module, runner: Runner) -> None:
        if self.bank_file is not None:
            if not model.text_banks:
                raise ConfigError(
                    f'SemanticsBankHook.bank_file is {self.bank_file}, but '
                    f'{type(model).__name__} has no textual bank to load it into; set '
                    'model.zero_shot_bank, or omit bank_file.'
                )
            bank = model.text_banks[0]
            if not bank.built:
                bank.load(self.bank_file, model.teacher)
                runner.logger.info(f'Textual bank loaded from {self.bank_file}.')
        model.build_text_banks(self.cache_dir)


def _check_predicted(model: nn.Module, loader: DataLoader, place: str) -> None:
    """Check the image sizes if the teacher predicts, too."""
    if model.predict_teacher:
        check_image_size(model, loader.dataset, place)


def _is_close(first: float | list, second: float | list) -> bool:
    """Whether two numbers, or two lists of numbers, are equal up to rounding."""
    pair = [torch.tensor(each, dtype=torch.float64) for each in (first, second)]
    return pair[0].shape == pair[1].shape and torch.allclose(*pair, rtol=1e-4)
