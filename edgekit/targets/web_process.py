"""What the processes of a browser use: processor time and memory, which a page cannot see itself."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Any

from edgekit.device.probe import busy_seconds
from edgekit.web.chromium import Browser


class RendererCpu:
    """Processor time of the page's processes, block by block."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._start = time.perf_counter()
        self._busy = busy_seconds()
        self._own = time.process_time()
        self._first = self._used()
        self._last = self._first["renderer"]

    def _used(self) -> dict[str, float]:
        used = self._browser.processor_seconds()
        return {"renderer": used.get("renderer", 0.0), "all": sum(used.values())}

    def mark(self) -> None:
        """A block is about to start."""
        self._last = self._used()["renderer"]

    def block_ns(self, idle_ns: int, wall_ns: int) -> int:
        """The processor time of the block that has just ended.

        ``idle_ns``: the time between the end of the block before and the start of this one, when one thread decoded
        images. Without a figure, the block counts as that of one thread.
        """
        before, self._last = self._last, self._used()["renderer"]
        found = round(1e9 * (self._last - before)) - idle_ns
        return found if found > 0 else wall_ns

    def others_cores(self) -> float | None:
        """How many cores other programs have kept busy so far; None if the system does not say."""
        busy = busy_seconds()
        if busy is None or self._busy is None:
            return None
        own = time.process_time() - self._own + self._used()["all"] - self._first["all"]
        return max(0.0, (busy - self._busy - own) / max(time.perf_counter() - self._start, 1e-9))


class RendererMemory:
    """Resident memory of the process that runs the page: the one that grows most."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._baseline: dict[int, int] = {}
        self._reset = True

    def start(self) -> None:
        """The runtime is loaded, the model is not."""
        for process in self._browser.renderers():
            try:
                Path(f"/proc/{process}/clear_refs").write_text("5", encoding="ascii")
            except OSError:
                self._reset = False
            self._baseline[process] = _resident(process, "VmRSS")

    def end(self) -> dict[str, Any]:
        """The keys of a ``memory`` event: the memory before, and at its peak since then."""
        growth = {process: _resident(process, "VmHWM") - before for process, before in self._baseline.items()}
        process = max(growth, key=lambda process: growth[process])
        baseline = self._baseline[process]
        return {
            "baseline_rss_bytes": baseline,
            "peak_rss_bytes": baseline + max(0, growth[process]),
            "model_rss_bytes": max(0, growth[process]),
            "peak_was_reset": self._reset,
            "arena_bytes": None,
        }


def _resident(process: int, key: str) -> int:
    """Bytes; on systems without /proc, what is resident now."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
        return int(done.stdout) * 1024
    return 0
