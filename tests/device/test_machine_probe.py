"""Reading the state of the machine, and timing nothing but the invoke."""

from __future__ import annotations

import threading
import time

from edgekit.device import memory, probe, timing


def test_raspberry_pi_throttling_flags():
    assert probe.parse_throttled("throttled=0x0") == {"raw": "0x0", "now": [], "since_boot": []}
    flags = probe.parse_throttled("throttled=0x50005")
    assert flags["now"] == ["under-voltage", "throttled"]
    assert flags["since_boot"] == ["under-voltage", "throttled"]
    assert probe.parse_throttled("error") is None


def test_block_has_enough_runs_and_enough_time():
    assert len(timing.run_block(lambda: None, 7, 0)) == 7
    samples = timing.run_block(lambda: time.sleep(0.001), 2, 10_000_000)
    assert sum(samples) >= 10_000_000
    assert 2 <= len(samples) <= 10


def test_settle_waits_for_spinning_threads():
    """In one of a few tries: on a busy machine, the spinning thread may not get to run."""

    def waits() -> bool:
        end = time.perf_counter() + 0.03

        def spin() -> None:
            while time.perf_counter() < end:
                pass

        thread = threading.Thread(target=spin)
        thread.start()
        timing.settle()
        waited = time.perf_counter() >= end - 0.01
        thread.join()
        start = time.perf_counter()
        timing.settle()
        return waited and time.perf_counter() - start < 0.09

    assert any(waits() for _ in range(5))


def test_peak_memory_includes_freed_memory():
    before = memory.peak_bytes()
    block = bytearray(before + 64_000_000)
    block[::4096] = b"x" * len(block[::4096])
    size = len(block)
    del block
    assert memory.peak_bytes() >= size
