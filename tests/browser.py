"""Chromium over its debugging pipe: what a user does, and what a user sees."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
    None,
)
#: Set in CI, where a missing browser fails the tests that need one.
IS_REQUIRED = bool(os.environ.get('MMLGD_REQUIRE_BROWSER'))
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and not IS_REQUIRED, reason='needs Chromium'
)
_FLAGS = (
    *('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic'),
    *('--no-first-run', '--disable-background-networking', '--disable-sync'),
    *('--disable-component-update', '--hide-scrollbars', '--remote-debugging-pipe'),
)


class Browser:
    """One tab of a headless Chromium with a fresh profile.

    It resolves no host names, so whatever is not at 127.0.0.1 cannot be loaded.

    Args:
        profile (Path): Folder of the profile.

    Attributes:
        requests (list[str]): URLs that were requested, data and blob URLs included.
        errors (list[str]): Uncaught exceptions and error messages of the console.
    """

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM, 'Chromium is not installed'
        commands, self._write = os.pipe()
        self._read, events = os.pipe()

        def take_pipes() -> None:  # Chromium reads from 3 and writes to 4
            for number, pipe in ((103, commands), (104, events)):
                os.dup2(pipe, number)
            os.dup2(103, 3), os.dup2(104, 4)

        self._process = subprocess.Popen(
            [
                *(CHROMIUM, *_FLAGS, f'--user-data-dir={profile}'),
                '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
                'about:blank',
            ],
            preexec_fn=take_pipes,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands), os.close(events)
        self._buffer, self._number, self._session = b'', 0, None
        self._is_loaded = False
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'DOM', 'Log'):
            self.call(f'{domain}.enable')

    def __enter__(self) -> 'Browser':
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read), os.close(self._write)

    def call(self, method: str, **params: Any) -> dict:
        """Call a method of the DevTools protocol; return its result."""
        self._number += 1
        message = dict(id=self._number, method=method, params=params)
        if self._session:
            message['sessionId'] = self._session
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._next()
            if answer.get('id') == self._number:
                assert 'error' not in answer, (method, answer['error'])
                return answer['result']
            self._note(answer.get('method'), answer.get('params'))

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self.requests.clear(), self.errors.clear()
        self._is_loaded = False
        self.call('Page.navigate', url=url)
        while not self._is_loaded:
            event = self._next()
            self._note(event.get('method'), event.get('params'))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        found = self.call(
            'Runtime.evaluate',
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert 'exceptionDetails' not in found, found
        return found['result'].get('value')

    def wait_for(self, expression: str, seconds: float = 60) -> Any:
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, (expression, self.errors)
            time.sleep(0.05)
        return value

    def choose_files(self, selector: str, paths: Sequence[Path]) -> None:
        """Choose files in an ``<input type=file>``."""
        root = self.call('DOM.getDocument')['root']['nodeId']
        node = self.call('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        files = [str(path) for path in paths]
        self.call('DOM.setFileInputFiles', nodeId=node, files=files)

    def press(self, key: str, code: int, text: str = '') -> None:
        """Press a key, such as ``('Tab', 9)`` or ``(' ', 32, ' ')``."""
        options = dict(key=key, windowsVirtualKeyCode=code)
        self.call('Input.dispatchKeyEvent', type='keyDown', text=text, **options)
        self.call('Input.dispatchKeyEvent', type='keyUp', **options)

    def show_as(self, width: int, height: int, phone: bool, dark: bool = False) -> None:
        """Set the size of the window, a finger or a mouse, and the colours."""
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.call('Emulation.setTouchEmulationEnabled', enabled=phone)
        scheme = dict(name='prefers-color-scheme', value='dark' if dark else 'light')
        self.call('Emulation.setEmulatedMedia', features=[scheme])

    def screenshot(self, path: Path | None = None) -> bytes:
        """PNG of the whole page."""
        shot = self.call('Page.captureScreenshot', captureBeyondViewport=True)
        content = base64.b64decode(shot['data'])
        if path:
            path.write_bytes(content)
        return content

    def _next(self, seconds: float = 120) -> dict:
        while b'\0' not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], seconds)
            part = os.read(self._read, 1 << 20) if ready else b''
            assert part, 'Chromium ended, or does not answer'
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b'\0')
        return json.loads(message)

    def _note(self, event: str | None, params: dict) -> None:
        if event == 'Page.loadEventFired':
            self._is_loaded = True
        elif event == 'Network.requestWillBeSent':
            self.requests.append(params['request']['url'])
        elif event == 'Runtime.exceptionThrown':
            self.errors.append(str(params['exceptionDetails']))
        elif event == 'Log.entryAdded' and params['entry']['level'] == 'error':
            self.errors.append(str(params['entry']))
