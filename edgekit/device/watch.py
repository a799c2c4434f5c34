"""Classify one picture after another for weeks: show the last one, keep unsure ones, check for drift."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import images, probe
from .classifier import Classifier
from .drift import Window
from .failures import DeviceError
from .picture_statistics import CONFIDENCE, comparable, picture_features, read_reference
from .plain_text import visible
from .unsure_pictures import FOLDER, UnsurePictures
from .watch_page import Board, PageServer, Snapshot, is_loopback, token_of
from .working_folder import STATISTICS, TOKEN

LOOK_S = 2.0
"""How often the temperature is read, and whether the model file is still the one that was opened."""

LOOK_FOR_NEW_S = 0.5
"""How often a folder is searched for new pictures."""

LATE_S = 15.0
"""A camera's last picture that is older, in addition to three intervals, is pointed out on the page."""

GONE_S = 30.0
"""How long the model file may be missing while a deployment is replaced."""

WARM_UP = 3


@dataclass(frozen=True)
class WatchSettings:
    """The options of ``watch``. ``every_s``: least time between pictures. ``frames``: stop after so many; 0: never."""

    host: str
    port: int
    every_s: float
    top: int
    frames: int
    keep_mb: float
    unsure_below: float
    drift_every_s: float
    drift_window: int
    folder: Path | None = None
    """Classify the pictures that appear here instead of the camera's."""


class Replaced(Exception):
    """The model file is another one now."""


class ModelWatch:
    """Raises :class:`Replaced` once the file at ``path`` is no longer the one that was there in the beginning."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = self._stamp()
        self._there_s = time.monotonic()

    def check(self) -> None:
        """Look at the file. Raises :class:`DeviceError` if it has been missing for long."""
        now = self._stamp()
        if now == self._seen:
            self._there_s = time.monotonic()
        elif now is not None:
            raise Replaced
        elif time.monotonic() - self._there_s > GONE_S:
            raise DeviceError("the model was removed while it was in use", str(self.path))

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def listen(settings: WatchSettings, folder: Path) -> PageServer:
    """The server of the page. Elsewhere than on loopback, it asks for the token in ``folder``."""
    token = None if is_loopback(settings.host) else token_of(folder / TOKEN)
    return PageServer(settings.host, settings.port, token=token)


def watch(
    settings: WatchSettings, classifier: Classifier, names: list[str] | None, server: PageServer, model: Path
) -> None:
    """Classify pictures until there are ``settings.frames``. Raises :class:`Replaced` if the model was replaced."""
    classes = classifier.classes
    if names is not None and classes is not None and len(names) != classes:
        raise DeviceError(f"{len(names)} labels do not fit {classes} outputs")
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    loop = _Loop(settings, classifier, names, model, sha256)
    server.start(loop.board)
    _say(_where(settings.host, server.port, model.parent / TOKEN if server.token else None))
    _say(f"drift check: {loop.board.snapshot().drift}")
    watched = ModelWatch(model)
    number = 0
    with contextlib.closing(_source(settings)) as source:
        for frame in source:
            started_s = time.monotonic()
            if loop.is_time_to_look():
                watched.check()
            if frame is None:
                continue
            number += 1
            loop.handle(frame, number)
            if number == settings.frames:
                return
            time.sleep(max(0.0, settings.every_s - (time.monotonic() - started_s)))


def _source(settings: WatchSettings) -> Generator[np.ndarray | None, None, None]:
    """Pictures uint8 (H, W, 3); None while there is no new one."""
    if settings.folder is None:
        return latest(_camera_frames())
    return folder_pictures(settings.folder)


class _Loop:
    """What is done with each picture."""

    def __init__(
        self, settings: WatchSettings, classifier: Classifier, names: list[str] | None, model: Path, sha256: str
    ) -> None:
        self._settings, self._classifier, self._names = settings, classifier, names
        self._latencies: deque[float] = deque(maxlen=100)
        self._looked_s = self._compared_s = -1e9
        self._heat: float | None = None
        self._throttled: tuple[str, ...] = ()
        self._store = None
        if settings.keep_mb:
            self._store = UnsurePictures(model.parent / FOLDER, int(settings.keep_mb * 1e6), settings.unsure_below)
        self._window, note = _drift_window(settings, model, sha256, classifier.classes, names)
        late_after_s = LATE_S + 3 * settings.every_s if settings.folder is None else None
        first = Snapshot(model.parent.name, sha256, time.time(), late_after_s, drift=note)
        self.board = Board(first)
        self._warm_up()

    def _warm_up(self) -> None:
        geometry = self._classifier.geometry
        blank = np.zeros((geometry.height, geometry.width, geometry.channels), np.uint8)
        for _ in range(WARM_UP):
            self._classifier.model.set_input(self._classifier.tensor(blank))
            self._classifier.model.invoke()

    def is_time_to_look(self) -> bool:
        """Whether the last look at the device is long enough ago. Takes a new one if so."""
        now = time.monotonic()
        if now - self._looked_s < LOOK_S:
            return False
        self._looked_s = now
        self._heat = probe.temperature_c()
        found = probe.throttled()
        self._throttled = tuple(found["now"]) if found else ()
        return True

    def handle(self, frame: np.ndarray, number: int) -> None:
        """Classify ``frame`` uint8 (H, W, 3) and publish the result."""
        started = time.perf_counter()
        pixels = self._classifier.geometry.fit(frame)
        probabilities = self._classifier.classify(pixels)
        self._latencies.append(1000 * (time.perf_counter() - started))
        order = [int(place) for place in probabilities.argsort()[::-1][: self._settings.top]]
        top = tuple((self._names[i] if self._names else str(i), float(probabilities[i])) for i in order)
        state = replace(
            self.board.snapshot(),
            time_unix_s=time.time(),
            number=number,
            top=top,
            latency_ms=self._latencies[-1],
            latency_ms_median=statistics.median(self._latencies),
            temperature_c=self._heat,
            throttled=self._throttled,
        )
        state = self._compared(state, pixels, order[0], top[0][1])
        if self._store is not None:
            self._store.offer(frame, *top[0])
            state = replace(
                state, kept=len(self._store), kept_bytes=self._store.bytes, kept_most_bytes=self._store.most_bytes
            )
        self.board.publish(state, frame)

    def _compared(self, state: Snapshot, pixels: np.ndarray, predicted: int, confidence: float) -> Snapshot:
        """``state`` with the progress or the verdict of the drift check."""
        now = time.monotonic()
        if self._window is None or now - self._compared_s < self._settings.drift_every_s:
            return state
        self._compared_s = now
        verdict = self._window.add({**picture_features(pixels), CONFIDENCE: comparable(confidence)}, predicted)
        if verdict is not None:
            _say(f"drift check: {verdict.sentence()}")
            return replace(state, drift=verdict.sentence(), drift_time_unix_s=time.time())
        if state.drift_time_unix_s is None:
            return replace(state, drift=_collecting(len(self._window), self._window.size))
        return state


def _drift_window(
    settings: WatchSettings, model: Path, sha256: str, classes: int | None, names: list[str] | None
) -> tuple[Window | None, str]:
    """The window of the drift check, and a note: how far it is, or why there is none."""
    path = model.parent / STATISTICS
    if not path.is_file():
        return None, "off (the deployment has no statistics of a test split)"
    reference = read_reference(path)
    if reference.model_sha256 != sha256 or classes not in (None, len(reference.predicted)):
        return None, f"off ({STATISTICS} describes another model; deploy it again)"
    return Window(reference, settings.drift_window, names), _collecting(0, settings.drift_window)


def _collecting(count: int, size: int) -> str:
    return f"{count} of {size} pictures collected"


def _where(host: str, port: int, token: Path | None) -> str:
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host  # noqa: S104 - it is compared only
    shown = f"[{name}]" if ":" in name else name
    asked = f", with the token in {token}" if token is not None else ""
    return f"page: http://{shown}:{port}/{asked}"


def _say(text: str) -> None:
    sys.stdout.write(visible(text) + "\n")
    sys.stdout.flush()


def _camera_frames() -> Generator[np.ndarray, None, None]:
    from . import camera

    return camera.frames()


def latest(source: Generator[np.ndarray, None, None]) -> Generator[np.ndarray, None, None]:
    """The newest frame of ``source`` each time; frames that nobody had time for are dropped."""
    arrived = threading.Condition()
    box: list[np.ndarray] = []
    ended: list[Exception | None] = []

    def read() -> None:
        failure: Exception | None = None
        try:
            for frame in source:
                with arrived:
                    box[:] = [frame]
                    arrived.notify()
                    if ended:
                        return
        except Exception as error:  # noqa: BLE001 - it is raised again where the frames are used
            failure = error
        finally:
            source.close()
        with arrived:
            ended.append(failure)
            arrived.notify()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while True:
            with arrived:
                arrived.wait_for(lambda: box or ended)
                if not box:
                    break
                frame = box.pop()
            yield frame
    finally:
        with arrived:
            ended.append(None)
        reader.join(2.0)
    if ended[0] is not None:
        raise ended[0]


def folder_pictures(folder: Path) -> Generator[np.ndarray | None, None, None]:
    """The pictures of ``folder``, uint8 (H, W, 3), by name, then each that appears or changes there, for ever.

    None each time all have been seen. A file that is not complete yet is tried again when it has changed.
    """
    seen: dict[str, tuple[int, int]] = {}
    if not folder.is_dir():
        raise DeviceError("no such folder", str(folder))
    while True:
        found = {path.name: path for path in folder.iterdir() if path.suffix.lower() in images.IMAGE_SUFFIXES}
        seen = {name: stamp for name, stamp in seen.items() if name in found}
        for name in sorted(found):
            try:
                about = found[name].stat()
                stamp = (about.st_mtime_ns, about.st_size)
                if seen.get(name) == stamp:
                    continue
                seen[name] = stamp
                frame = np.asarray(images.decode_rgb(found[name]))
            except (OSError, images.ImageError) as error:
                _say(f"skipped {name}: {getattr(error, 'reason', None) or error}")
                continue
            yield frame
        yield None
        time.sleep(LOOK_FOR_NEW_S)


def restart(program: str, folder: Path, arguments: list[str], was_in_folder: bool) -> None:
    """Start this process again with the program that is there now, in the folder that is there now."""
    if was_in_folder:
        os.chdir(folder)
    os.execv(sys.executable, [sys.executable, program, *arguments])  # noqa: S606
