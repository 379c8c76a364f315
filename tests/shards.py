"""Tar shards of tiny images, and a server that sends ranges of them."""

import io
import os
import signal
import sys
import tarfile
import threading
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np


def png(value: int) -> bytes:
    """A gray picture whose pixels all have one value."""
    return cv2.imencode('.png', np.full((4, 4, 3), value, np.uint8))[1].tobytes()


def write_tar(
    path: Path, members: Iterable[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT
) -> Path:
    """Write members (name, content) to a tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, 'w', format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_shards(folder: Path, counts: Iterable[int]) -> list[Path]:
    """WebDataset-style shards 00.tar, 01.tar, ...; image i of all has the value i."""
    paths, value = [], 0
    for number, count in enumerate(counts):
        members = []
        for _ in range(count):
            members += [
                (f'{value:04}.txt', b'caption'),
                (f'{value:04}.png', png(value)),
            ]
            value += 1
        paths.append(write_tar(folder / f'{number:02}.tar', members))
    return paths


class RangeServer(ThreadingHTTPServer):
    """Serves a folder.

    Attributes:
        requests (list[str]): Ranges of the GET requests so far.
        fail: Decides from the number of a request, from 0, whether to hang up in the
            middle of the answer.
        ignores_ranges: Whether whole files are sent instead of ranges.
        dies: Like ``fail``, but the whole process is killed instead.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.requests: list[str] = []
        self.fail: Callable[[int], bool] = lambda number: False
        self.ignores_ranges = False
        self.dies: Callable[[int], bool] = lambda number: False
        super().__init__(('127.0.0.1', port), partial(_Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        begin, end = 0, len(content)
        wanted = self.headers.get('Range')
        if wanted and not self.server.ignores_ranges:
            begin, last = map(int, wanted.removeprefix('bytes=').split('-'))
            end = min(last + 1, end)
        number = len(self.server.requests)
        self.server.requests.append(wanted or '')
        self.send_response(206 if end - begin < len(content) else 200)
        self.send_header('Content-Length', str(end - begin))
        self.end_headers()
        if self.server.dies(number):
            self.wfile.write(content[begin : (begin + end) // 2])
            self.wfile.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.server.fail(number):
            self.wfile.write(content[begin : (begin + end) // 2])
            self.close_connection = True
            return
        self.wfile.write(content[begin:end])

    def log_message(self, *args) -> None:
        pass


@contextmanager
def serving(folder: Path):
    """A server of a folder on the loopback interface."""
    server = RangeServer(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def _serve_until_killed(folder: str, port: str, requests: str) -> None:
    """Serve a folder; the process dies in the middle of an answer after ``requests``."""
    server = RangeServer(Path(folder), int(port))
    server.dies = lambda number: number >= int(requests)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == '__main__':
    _serve_until_killed(*sys.argv[1:])
