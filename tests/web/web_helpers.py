"""Helpers of the tests of the web page."""

from __future__ import annotations

import queue
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.web.chromium import Browser
from edgekit.web.server import PageServer


def photo_tiles(folder: Path, count: int) -> list[Path]:
    """Cut-outs of scikit-learn's two photographs, as JPEG files of odd sizes, some grey, some rotated by EXIF."""
    datasets = pytest.importorskip("sklearn.datasets")
    photos = [Image.fromarray(pixels) for pixels in datasets.load_sample_images().images]
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        photo = photos[number % 2]
        width, height = (int(side) for side in random.integers(33, 400, 2))
        left, top = (int(random.integers(0, most - side)) for most, side in zip(photo.size, (width, height)))
        tile = photo.crop((left, top, left + width, top + height))
        exif = Image.Exif()
        if number % 4 == 1:
            exif[0x0112] = number // 4 % 8 + 1
        path = folder / f"{number:03}.jpg"
        quality, sampling = int(random.integers(40, 97)), number % 3
        (tile.convert("L") if number % 10 == 3 else tile).save(path, quality=quality, subsampling=sampling, exif=exif)
        found.append(path)
    return found


class Page:
    """A page in the browser, its messages and its requests."""

    def __init__(self, browser: Browser, folder: Path, *, name: str = "index.html", isolated: bool = False) -> None:
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self.browser = browser
        self.server = PageServer(files, isolated=isolated)
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.drain()
        self.messages.clear()
        self.requests.clear()
        for domain in ("Log", "Network", "DOM"):
            browser.call(f"{domain}.enable")
        browser.open(self.server.url(name))

    def drain(self) -> None:
        """Sort the events that have arrived."""
        while True:
            try:
                event = self.browser.next_event(0.01)
            except queue.Empty:
                return
            assert event is not None, "the browser has ended"
            method, params = event["method"], event["params"]
            if method == "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            elif method == "Log.entryAdded":
                self.messages.append(params["entry"]["text"])
            elif method == "Runtime.exceptionThrown":
                self.messages.append(str(params["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled":
                self.messages.append(str(params["args"]))

    def evaluate(self, expression: str) -> Any:
        return self.browser.evaluate(expression)

    def wait(self, expression: str, timeout_s: float = 60) -> Any:
        """The first value of ``expression`` that is true."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.05)
        raise AssertionError(f"{expression} was not reached; the page says: {self.evaluate('document.body.innerText')}")

    def ready(self) -> None:
        self.wait("document.body.dataset.ready === 'true'")

    def choose(self, path: Path) -> None:
        """Choose a picture, and wait until it is classified or refused."""
        self.evaluate("document.getElementById('status').textContent = 'waiting'")
        root = self.browser.call("DOM.getDocument")["root"]["nodeId"]
        node = self.browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        self.browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])
        self.wait("!['waiting', 'Classifying…'].includes(document.getElementById('status').textContent)")

    def press(self, key: str, code: int, text: str = "") -> None:
        """One key of the keyboard."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.browser.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more
            )

    def resize(self, width: int, height: int = 844) -> None:
        self.browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def close(self) -> None:
        self.browser.open("about:blank")
        self.browser.call("Emulation.clearDeviceMetricsOverride")
        self.server.close()
