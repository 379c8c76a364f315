"""What a row of the acceptance kit gets and returns."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks import ROOT

TINY_TEACHER = ROOT / 'tests/data/rn_tiny.json'


@dataclass(frozen=True)
class Setting:
    """Where and how large the rows run.

    Args:
        device (str): 'cuda' or 'cpu'.
        dry (bool): Whether everything is tiny, to try the code and not the device.
    """

    device: str
    dry: bool = False

    @property
    def on_gpu(self) -> bool:
        """Whether the rows run on a GPU."""
        return self.device != 'cpu'

    def pick(self, full: Any, tiny: Any) -> Any:
        """The first value, or the second in a dry run."""
        return tiny if self.dry else full

    def options(self, precision: str = 'float16') -> list[str]:
        """Options of the benchmarks of a training step."""
        precision = self.pick(precision, 'float32')
        options = ['--device', self.device, '--precision', precision]
        if self.dry:
            options += ['--teacher', str(TINY_TEACHER), '--num-categories', '5']
        return [*options, '--batch-size', self.pick('256', '2')]


@dataclass
class Outcome:
    """Result of a row.

    Args:
        passed (bool, optional): Whether it is as wanted; None if it was not run.
        figure (str): The measured figures, or the reason.
        data (dict): Details for the JSON file.
        crashed (bool): Whether it ended before it had a figure.
    """

    passed: bool | None
    figure: str
    data: dict = field(default_factory=dict)
    crashed: bool = False


def needs_gpu(what: str = '') -> Outcome:
    """Outcome of a row that a CPU cannot show, after what it did there."""
    return Outcome(None, f'needs a GPU{what and "; "}{what}')
