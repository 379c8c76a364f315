"""Looks at a local weight file before a library does, to say what is wrong."""

import zipfile
from pathlib import Path

from torch import Tensor, nn

from mmlgd.errors import CheckpointError, TeacherError
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.paths import expand_user

_LFS_POINTER = b'version https://git-lfs'


def check_weight_file(path: str | Path) -> Path:
    """Finds a weight file and refuses what cannot be one.

    Args:
        path (str | Path): The file; a relative path starts at the working
            directory, '~' is the home directory.

    Returns:
        Path: The absolute path.

    Raises:
        TeacherError: No such file, or one that is empty, a web page, a git-lfs
            pointer, or cut off.
    """
    file = Path(expand_user(path, 'the weights')).absolute()
    if not file.is_file():
        raise TeacherError(
            f'Weight file {str(path)!r} does not exist (looked for {file}). Relative '
            'paths start at the working directory: run from the repository root, or '
            'give an absolute path.'
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
        return 'a git-lfs pointer, not weights (git lfs pull fetches them)'
    if head.startswith(b'PK') and not zipfile.is_zipfile(file):
        return 'truncated'
    return None


def is_torchscript(file: Path) -> bool:
    """Whether a file is a TorchScript archive, as OpenAI publishes its weights."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    # torch.load decides alike; a laxer test would let foreign pickles through.
    roots = {name.split('/')[0] for name in names}
    return len(roots) == 1 and f'{roots.pop()}/constants.pkl' in names


def first_lines(error: Exception, count: int = 6, width: int = 300) -> str:
    """The beginning of an error that may name thousands of keys."""
    lines = [line.strip()[:width] for line in str(error).splitlines() if line.strip()]
    return '\n'.join(lines[:count]) or type(error).__name__


def read_weights_and_meta(path: str) -> tuple[dict[str, Tensor], dict]:
    """Reads a checkpoint of mmengine, or a plain state dict, onto the CPU.

    Args:
        path (str): A local file, or a URL that mmengine knows ('https://...').

    Returns:
        tuple[dict[str, Tensor], dict]: The tensors, and the checkpoint's ``meta``: {}
        where it has none.

    Raises:
        TeacherError: The file cannot be had or read, or holds no tensors.
    """
    source = path if '://' in path else str(check_weight_file(path))
    try:
        checkpoint = read_checkpoint(source)
    except CheckpointError as error:
        raise TeacherError(
            f'Weights {source} cannot be read: {first_lines(error)}\nIf the file is '
            'cut off, copy it again; without network, give a local file.'
        ) from error
    weights = checkpoint['state_dict']
    tensors = {key: item for key, item in weights.items() if isinstance(item, Tensor)}
    if not tensors:
        raise TeacherError(f'{source} holds no state dict. Give a checkpoint file.')
    return tensors, checkpoint['meta']


def load_whole(module: nn.Module, weights: dict[str, Tensor], place: str) -> None:
    """Loads weights that must fit a module exactly.

    Args:
        module (nn.Module): Receives them.
        weights (dict[str, Tensor]): By the module's own keys.
        place (str): Module and file, for the message.

    Raises:
        TeacherError: A key is missing, is unexpected or has another shape.
    """
    own = module.state_dict()
    # Counters that older checkpoints lack, and that eval mode does not read.
    wanted = {key for key in own if not key.endswith('num_batches_tracked')}
    matched = {key for key in wanted & weights.keys() if _same_shape(own, weights, key)}
    unexpected = weights.keys() - own.keys()
    if matched == wanted and not unexpected:
        module.load_state_dict(weights, strict=False)
        return
    missing = [f'missing {key}' for key in sorted(wanted - weights.keys())]
    misfits = [
        f'{key} is {tuple(weights[key].shape)}, not {tuple(own[key].shape)}'
        for key in sorted(wanted & weights.keys() - matched)
    ]
    surplus = [f'unexpected {key}' for key in sorted(unexpected)]
    raise TeacherError(
        f'{place}: {len(matched)} of {len(wanted)} tensors match '
        f'({len(matched) / max(len(wanted), 1):.0%}), {len(missing)} are missing, '
        f'{len(misfits)} have another shape, {len(surplus)} are unexpected: '
        f'{"; ".join([*missing[:3], *misfits[:3], *surplus[:3]])}. Set the '
        'architecture that the file was saved from.'
    )


def _same_shape(own: dict, weights: dict, key: str) -> bool:
    return own[key].shape == weights[key].shape
