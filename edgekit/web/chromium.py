"""Chromium without a window, driven through its DevTools protocol. Standard library only.

The protocol goes through two pipes (``--remote-debugging-pipe``), so no port is opened and no WebSocket is needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, TargetError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
"""Commands that start a browser of this family."""

MAC_APPS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)

VARIABLE = "EDGEKIT_CHROMIUM"
"""Environment variable with the path of the browser to use."""

FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    # Nothing but this machine is ever asked for anything.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

ANSWER_S = 60.0

LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""Chromium reads commands from descriptor 3 and writes answers to descriptor 4."""

Message = dict[str, Any]
"""A message of the DevTools protocol."""


def find_chromium() -> str | None:
    """The path of a browser on this machine; None if there is none."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return shutil.which(chosen)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or next((path for path in MAC_APPS if Path(path).is_file()), None)


def require_chromium() -> str:
    """:func:`find_chromium`; :class:`TargetError` without one."""
    found = find_chromium()
    if found is None:
        raise TargetError(
            "no Chromium, Chrome or Edge was found on this machine",
            hint=f"install one, or set {VARIABLE} to its path",
        )
    return found


class Browser:
    """One running browser with an empty profile and one page. ``events`` has what the page reports, in order."""

    def __init__(self, *, width: int = 1280, height: int = 900) -> None:
        self._ids = iter(range(1, sys.maxsize))
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self.events: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        """Messages with ``method`` and ``params``; None once the browser has ended."""
        self._profile = tempfile.TemporaryDirectory(prefix="edgekit-chromium-", ignore_cleanup_errors=True)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._start([f"--window-size={width},{height}", f"--user-data-dir={self._profile.name}"])
        self._session: str | None = None
        try:
            page = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
            self.call("Page.enable")
            self.call("Runtime.enable")
        except BaseException:
            self.close()
            raise

    def _start(self, flags: Sequence[str]) -> None:
        path = require_chromium()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to start otherwise
        (commands_out, commands_in), (answers_out, answers_in) = _pipe(), _pipe()
        launcher = [sys.executable, "-c", LAUNCH, str(commands_out), str(answers_in)]
        try:
            self._process = subprocess.Popen(
                [*launcher, path, *FLAGS, *root, *flags],
                pass_fds=(commands_out, answers_in),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                start_new_session=True,
            )
        finally:
            os.close(commands_out)
            os.close(answers_in)
        self._commands = os.fdopen(commands_in, "wb", buffering=0)
        self._reader = threading.Thread(target=self._read, args=(answers_out,), daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            rest = b""
            while block := stream.read(1 << 16):
                *messages, rest = (rest + block).split(b"\0")
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]].put(message)
                    else:
                        self.events.put(message)
        self.events.put(None)
        for waiting in list(self._answers.values()):
            waiting.put({"error": {"message": "the browser has ended"}})

    def call(self, method: str, *, timeout_s: float = ANSWER_S, **params: object) -> Message:
        """One command of the protocol, and its result. Raises :class:`EdgekitError` if it fails."""
        number = next(self._ids)
        answer = self._answers[number] = queue.SimpleQueue()
        message: Message = {"id": number, "method": method, "params": params}
        if not method.startswith(("Target.", "Browser.", "SystemInfo.")) and self._session:
            message["sessionId"] = self._session
        try:
            self._commands.write(json.dumps(message).encode() + b"\0")
            found = answer.get(timeout=timeout_s)
        except (OSError, queue.Empty) as error:
            reason = "it does not answer" if isinstance(error, queue.Empty) else "it has ended"
            raise EdgekitError(f"the browser failed: {reason}{self._last_words()}") from None
        finally:
            del self._answers[number]
        if "error" in found:
            raise EdgekitError(f"the browser failed at {method}: {found['error']['message']}{self._last_words()}")
        result: Message = found["result"]
        return result

    def open(self, url: str) -> None:
        """Load a page, and wait until it and its modules have run."""
        loaded = self.call("Page.navigate", url=url)
        if loaded.get("errorText"):
            raise EdgekitError(f"the browser cannot open its page: {loaded['errorText']}", where=url)
        self.evaluate(
            "new Promise((done) => document.readyState === 'complete' ? done(true) : addEventListener('load', done))"
            ".then(() => true)"
        )

    def evaluate(self, expression: str, *, timeout_s: float = ANSWER_S) -> Any:  # noqa: ANN401 - any JSON value
        """The value of a JavaScript expression in the page; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, timeout_s=timeout_s
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details.get("text")
            raise EdgekitError(f"the page failed: {text}")
        return found["result"].get("value")

    def bind(self, name: str) -> None:
        """Give the page a function ``name(text)``, whose calls arrive as ``Runtime.bindingCalled`` events."""
        self.call("Runtime.addBinding", name=name)

    def next_event(self, timeout_s: float | None = None) -> Message | None:
        """The next event, None once the browser has ended. Raises :class:`queue.Empty` after ``timeout_s``."""
        return self.events.get(timeout=timeout_s)

    def bound_calls(self, name: str, silence_s: float) -> Generator[str, None, None]:
        """What the page passes to a bound function, call by call.

        Raises :class:`EdgekitError` if the page crashes, if the browser ends, or if ``silence_s`` pass without a call.
        """
        while True:
            try:
                event = self.next_event(silence_s)
            except queue.Empty:
                raise EdgekitError(f"the page has not reported anything for {silence_s:g} seconds") from None
            if event is None:
                raise EdgekitError(f"the browser has ended{self._last_words()}")
            if event["method"] in {"Inspector.targetCrashed", "Target.targetCrashed"}:
                raise EdgekitError(
                    "the page crashed, probably because memory ran out", hint="bench fewer files at once"
                )
            if event["method"] == "Runtime.bindingCalled" and event["params"]["name"] == name:
                yield event["params"]["payload"]

    @property
    def version(self) -> str:
        """Name and version, such as ``Chrome/140.0.7339.80``."""
        return str(self.call("Browser.getVersion")["product"]).replace("HeadlessChrome", "Chrome")

    def renderers(self) -> list[int]:
        """The ids of the processes that run pages."""
        return [int(one["id"]) for one in self._processes() if one["type"] == "renderer"]

    def processor_seconds(self) -> dict[str, float]:
        """The processor time that its processes have used, by their type (``renderer``: those that run pages)."""
        found: dict[str, float] = {}
        for one in self._processes():
            found[one["type"]] = found.get(one["type"], 0.0) + float(one["cpuTime"])
        return found

    def _processes(self) -> list[Message]:
        found: list[Message] = self.call("SystemInfo.getProcessInfo")["processInfo"]
        return found

    def close(self) -> None:
        """End the browser and remove its profile."""
        if self._process.poll() is None:
            with contextlib.suppress(EdgekitError):
                self.call("Browser.close", timeout_s=5)
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._commands.close()
        self._reader.join(timeout=5)
        self._stderr.close()
        self._profile.cleanup()

    def _last_words(self) -> str:
        """The last line that the browser printed, if it has ended."""
        if self._process.poll() is None:
            return ""
        with contextlib.suppress(ValueError, OSError):
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").strip().splitlines()
            if lines:
                return f" ({lines[-1][:200]})"
        return ""


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not the descriptors that Chromium expects its own at."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
