"""Images in tar shards, without labels."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import force_full_init
from mmengine.logging import print_log

from mmlgd.datasets.image_folder import EXTENSIONS, check_extensions
from mmlgd.datasets.orders import HashedOrder, Order, RunOrder
from mmlgd.datasets.replacing import ReplacingDataset
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS
from mmlgd.utils.checks import check_count, check_in_range
from mmlgd.utils.first_rank import on_first_rank
from mmlgd.utils.paths import expand_user

from .build import build_index, check_header, verify_index
from .index import ShardIndex
from .opening import open_storage
from .shard_list import ShardList, entry_of
from .storage import Range, Storage
from .tar import BLOCK

#: Folder of the index within a local ``data_root``.
INDEX_FOLDER = 'mmlgd_index'


@DATASETS.register_module()
class UnlabeledShards(ReplacingDataset):
    """The images in tar files, such as WebDataset's, in a folder or behind a URL.

    Every image has a fixed index, as in a folder: the images of the first shard in their
    order, then those of the second, and so on. Other members (captions, embeddings) are
    skipped. Nothing is extracted, and member names are only names.

    The index, with the place of each image, is a folder that ``mmlgd index-shards``
    writes. If there is none, rank 0 writes it at the first use. Rank 0 compares it with
    the shards at each start. Images that do not load are replaced; see
    :class:`~mmlgd.datasets.replacing.ReplacingDataset`. Damage of a shard itself, and a
    server that does not answer, end the loading.

    Args:
        data_root: Folder, or http, https or S3 URL, of the shards.
        shards: Names relative to ``data_root``, or a list: with wildcards (not over
            http), or ranges like ``'{00000..01234}.tar'``. Defaults to ``'*.tar'``.
        index: Folder of the index. Defaults to None: ``mmlgd_index`` in ``data_root``,
            which must then be local.
        extensions: Endings of the images, case-insensitive; must be those of the index.
            Defaults to :data:`~mmlgd.datasets.image_folder.EXTENSIONS`.
        shuffle_by: How ``ViewSampler`` shuffles: 'images' (every order of all images is
            possible) or 'shards' (:class:`~mmlgd.datasets.orders.RunOrder`). Defaults
            to None: 'images' for local, 'shards' for remote shards.
        shuffle_buffer: Images among which 'shards' shuffles. Defaults to 65536.
        shuffle_run: Neighbours that 'shards' keeps together, so that they need one
            request. Defaults to 8.
        storage_options: Options of fsspec's file system, for example
            ``dict(endpoint_url=...)`` for S3. Credentials are refused. Defaults to None.
        retries: How often a failed request is repeated. Defaults to 5.
        timeout: Seconds until a request counts as failed. Defaults to 60.
        index_wait: Seconds that the other ranks wait for rank 0 to check or write the
            index. Defaults to 1800.
        max_broken: Largest share of the images, in [0, 1], that may fail to load.
            Defaults to 0.01.
        pipeline: Transforms; the first one must be mmlgd's ``FastRandomResizedCrop`` or
            ``LoadImageFromFile``, or another one that decodes ``img_bytes``.
        **kwargs: ``metainfo``, ``indices``, ``test_mode``, ... of
            :class:`mmengine.dataset.BaseDataset`.

    Raises:
        ConfigError: An option is invalid, or contains credentials.
        DependencyError: The package for this kind of URL is missing.
        DataError: A shard is missing, changed, truncated or damaged, or the index is;
            later, a shard cannot be read, or too many images do not load.
    """

    def __init__(
        self,
        data_root: str,
        shards: str | Sequence[str] = '*.tar',
        index: str | None = None,
        extensions: Sequence[str] = EXTENSIONS,
        shuffle_by: str | None = None,
        shuffle_buffer: int = 65536,
        shuffle_run: int = 8,
        storage_options: dict[str, Any] | None = None,
        retries: int = 5,
        timeout: float = 60,
        index_wait: float = 1800,
        max_broken: float = 0.01,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        self.extensions = check_extensions('UnlabeledShards.extensions', extensions)
        self.max_broken = check_in_range('UnlabeledShards.max_broken', max_broken, 0, 1)
        self.index_wait = check_in_range(
            'UnlabeledShards.index_wait', index_wait, 0, 1e6, low_open=True
        )
        check_in_range('UnlabeledShards.timeout', timeout, 0, 1e6, low_open=True)
        self.shuffle_buffer = check_count(
            'UnlabeledShards.shuffle_buffer', shuffle_buffer, 1
        )
        self.shuffle_run = check_count('UnlabeledShards.shuffle_run', shuffle_run, 1)
        self.patterns = shard_patterns(shards)
        data_root = check_root(data_root)
        retries = check_count('UnlabeledShards.retries', retries, 0)
        self.storage = open_storage(data_root, storage_options, retries, timeout)
        if shuffle_by not in (None, 'images', 'shards'):
            raise ConfigError(
                "UnlabeledShards.shuffle_by must be 'images', 'shards' or None, but is "
                f'{shuffle_by!r}.'
            )
        default = 'shards' if self.storage.is_remote else 'images'
        self.shuffle_by = shuffle_by or default
        self.index_path = index_folder(self.storage, index)
        self._fetched: dict[int, bytes] = {}
        # mmengine would look for a file backend of its own for the URL.
        super().__init__(
            data_root='',
            data_prefix=dict(img_path=''),
            pipeline=list(pipeline),
            serialize_data=False,
            **{**kwargs, 'lazy_init': True},
        )
        self.data_root = self.storage.root
        self.data_prefix = dict(img_path=self.storage.root)
        self._check_loading()
        if not kwargs.get('lazy_init'):
            self.full_init()

    def load_data_list(self) -> ShardList:
        """Open the index, which rank 0 compares with the shards, or writes."""
        digest = on_first_rank(
            self._prepare_index,
            f'checking or writing the index of the shards in {self.storage.root}',
            self.index_wait,
            'index_wait of UnlabeledShards',
        )
        index = ShardIndex(self.index_path)
        if index.digest != digest:
            raise index.damaged('it differs from the index on the machine of rank 0')
        return ShardList(index, self.storage.root)

    def _prepare_index(self) -> str:
        names = self.storage.find(self.patterns)
        try:
            index = ShardIndex(self.index_path)
        except DataError:
            if (self.index_path / 'index.json').exists():
                raise
            print_log(
                f'{self.index_path} does not exist; indexing {len(names)} shards of '
                f'{self.storage.root}, for at most {self.index_wait:g} s.',
                logger='current',
            )
            index = build_index(self.storage, names, self.extensions, self.index_path)
        else:
            verify_index(index, self.storage, names)
        if {*index.extensions} != {*self.extensions}:
            raise DataError(
                f'The index {index.path} is of members that end with '
                f'{", ".join(index.extensions)}, but the dataset has extensions='
                f'{[*self.extensions]}: index again, or set the same.'
            )
        return index.digest

    def pass_order(self, seed: int) -> Order:
        """How :class:`~mmlgd.datasets.ViewSampler` shuffles a pass."""
        if self.shuffle_by == 'images' or not isinstance(self.data_list, ShardList):
            return HashedOrder(len(self), seed)
        return RunOrder(
            self.data_list.counts(), seed, self.shuffle_buffer, self.shuffle_run
        )

    def fetch(self, indices: Sequence[int]) -> None:
        """Read images of a remote storage together, before they are loaded one by one."""
        if self.storage.is_remote:
            contents = self._read([self.get_data_info(index) for index in indices])
            self._fetched = dict(zip(indices, contents))

    def __getitems__(self, indices: list[int]) -> list[dict]:
        """The items of a batch, for torch's data loader."""
        self.fetch([index % len(self) for index in indices])
        return [self[index] for index in indices]

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """``img_path``, ``sample_idx`` and ``entry``, the place of image ``idx``."""
        # mmengine would copy the info deeply, which takes longer than reading an image.
        return dict(self.data_list[idx], sample_idx=idx % len(self))

    @force_full_init
    def image_paths(self) -> Iterator[str]:
        """Paths of all images, several times faster than by :meth:`get_data_info`."""
        if isinstance(self.data_list, ShardList):
            return self.data_list.paths()
        return (info['img_path'] for info in self.data_list)

    def read_image(self, index: int) -> bytes:
        """The encoded image ``index``, in [0, N).

        Raises:
            DataError: The shard is damaged, or cannot be read.
        """
        return self._read([self.get_data_info(index)])[0]

    def _load_info(self, idx: int) -> dict:
        info = self.get_data_info(idx)
        data = self._fetched.pop(idx, None)
        return dict(info, img_bytes=self._read([info])[0] if data is None else data)

    def _read(self, infos: list[dict]) -> list[bytes]:
        entries = [entry_of(info) for info in infos]
        ranges = [
            Range(one.shard, one.offset - BLOCK, one.offset + one.size, one.name)
            for one in entries
        ]
        contents = self.storage.read_many(ranges)
        for entry, content in zip(entries, contents):
            if len(content) < BLOCK + entry.size:
                raise DataError(
                    f'The shard {self.storage.path(entry.shard)} is truncated: the image '
                    f'{entry.name!a} should end at byte {entry.offset + entry.size}. Put '
                    'the whole shard back.'
                )
            check_header(self.storage, entry, content[:BLOCK])
        return [content[BLOCK:] for content in contents]

    def _check_loading(self) -> None:
        first = next(iter(self.pipeline.transforms), None)
        reads_files = isinstance(first, LoadImageFromFile)
        if reads_files and not getattr(first, 'separates_reading', False):
            raise ConfigError(
                f'{first!r} reads files, but the images are in shards: use LoadImageFromFile '
                "of mmlgd (type='mmlgd.LoadImageFromFile') with its default decoding."
            )


def check_root(data_root: Any) -> str:
    """The folder or URL of shards; ConfigError if it is neither."""
    if not isinstance(data_root, str) or not data_root:
        raise ConfigError(
            f'UnlabeledShards.data_root must be a folder or URL, but is {data_root!r}.'
        )
    return expand_user(data_root, 'the shards')


def shard_patterns(shards: str | Sequence[str]) -> list[str]:
    """A list of patterns; ConfigError if they are not relative names."""
    patterns = [shards] if isinstance(shards, str) else [*shards]
    for pattern in patterns or ['']:
        parts = pattern.split('/') if isinstance(pattern, str) else ['']
        if '' in parts or '..' in parts or '\0' in pattern:
            raise ConfigError(
                'UnlabeledShards.shards must be names below data_root, such as '
                f"'*.tar', but one is {pattern!r}."
            )
    return patterns


def index_folder(storage: Storage, index: str | None) -> Path:
    """Folder of the index; ConfigError if it must be set."""
    if index is not None:
        return Path(expand_user(index, 'the index'))
    if storage.is_remote:
        raise ConfigError(
            f'The shards are at {storage.root}: set index (--index) to a local folder for '
            'their index.'
        )
    return Path(storage.root) / INDEX_FOLDER
