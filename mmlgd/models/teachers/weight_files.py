"""Checks and loading of weight files, with descriptive errors."""

import zipfile
from pathlib import Path

from torch import Tensor, nn

from mmlgd.errors import CheckpointError, TeacherError
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.paths import expand_user

_LFS_POINTER = b'version https://git-lfs'


def check_weight_file(path: str | Path) -> Path:
    """Check a local weight file.

    Args:
        path (str | Path): The file; a relative path starts at the working
            directory, '~' is the home directory.

    Returns:
        Path: The absolute path.

    Raises:
        TeacherError: The file is missing, empty, a web page, a git-lfs pointer, or
            truncated.
    """
    file = Path(expand_user(path, 'the weights')).absolute()
    if not file.is_file():
        raise TeacherError(
            f'Weight file {str(path)!r} does not exist (looked for {file}). Relative '
            'paths start at the working directory: run from the repository root, or '
            'set an absolute path.'
        )
    with file.open('rb') as stream:
        head = stream.read(64)
    fault = _fault(file, head.lstrip())
    if fault:
        raise TeacherError(
            f'Weight file {file} is {fault} ({file.stat().st_size} bytes). Download '
            'or copy it again.'
        )
    return file


def _fault(file: Path, head: bytes) -> str | None:
    if not head:
        return 'empty'
    if head.startswith(b'<'):
        return 'a web page, not weights'
    if head.startswith(_LFS_POINTER):
        return 'a git-lfs pointer, not weights (download them with git lfs pull)'
    if head.startswith(b'PK') and not zipfile.is_zipfile(file):
        return 'truncated'
    return None


def is_torchscript(file: Path) -> bool:
    """Whether a file is a TorchScript archive, the format of OpenAI's weights."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    # The same test as in torch.load; a weaker one would accept other pickles.
    roots = {name.split('/')[0] for name in names}
    return len(roots) == 1 and f'{roots.pop()}/constants.pkl' in names


def first_lines(error: Exception, count: int = 6, width: int = 500) -> str:
    """The first lines of an error, which may list thousands of keys."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line if len(line) <= width else f'{line[:width]}...' for line in lines]
    return '\n'.join(lines[:count]) or type(error).__name__


def read_weights_and_meta(path: str) -> tuple[dict[str, Tensor], dict]:
    """Read a checkpoint of mmengine, or a plain state dict, to the CPU.

    Args:
        path (str): A local file, or a URL that mmengine supports ('https://...').

    Returns:
        tuple[dict[str, Tensor], dict]: The tensors, and the checkpoint's ``meta``; {} if
        it has none.

    Raises:
        TeacherError: The file is not available, cannot be read, or has no tensors.
    """
    source = path if '://' in path else str(check_weight_file(path))
    try:
        checkpoint = read_checkpoint(source)
    except CheckpointError as error:
        raise TeacherError(
            f'Weights {source} cannot be read: {first_lines(error)}\nIf the file is '
            'truncated, copy it again; without network, set a local file.'
        ) from error
    weights = checkpoint['state_dict']
    tensors = {key: item for key, item in weights.items() if isinstance(item, Tensor)}
    if not tensors:
        raise TeacherError(f'{source} has no state dict. Set a checkpoint file.')
    return tensors, checkpoint['meta']


def load_exact(module: nn.Module, weights: dict[str, Tensor], place: str) -> None:
    """Load weights that must match a module exactly.

    Args:
        module (nn.Module): Receives the weights.
        weights (dict[str, Tensor]): Weights by the module's keys.
        place (str): Module and file, for the message.

    Raises:
        TeacherError: A key is missing, is unexpected or has another shape.
    """
    own = module.state_dict()
    # Counters, which older checkpoints lack, are not used in eval mode.
    wanted = {key for key in own if not key.endswith('num_batches_tracked')}
    matched = {key for key in wanted & weights.keys() if _same_shape(own, weights, key)}
    unexpected = weights.keys() - own.keys()
    if matched == wanted and not unexpected:
        module.load_state_dict(weights, strict=False)
        return
    missing = [f'missing {key}' for key in sorted(wanted - weights.keys())]
    mismatched = [
        f'{key} is {tuple(weights[key].shape)}, not {tuple(own[key].shape)}'
        for key in sorted(wanted & weights.keys() - matched)
    ]
    extra = [f'unexpected {key}' for key in sorted(unexpected)]
    raise TeacherError(
        f'{place}: {len(matched)} of {len(wanted)} tensors match '
        f'({len(matched) / max(len(wanted), 1):.0%}), {len(missing)} are missing, '
        f'{len(mismatched)} have another shape, {len(extra)} are unexpected: '
        f'{"; ".join([*missing[:3], *mismatched[:3], *extra[:3]])}. Set the '
        'architecture that the file was saved from.'
    )


def _same_shape(own: dict, weights: dict, key: str) -> bool:
    return own[key].shape == weights[key].shape
