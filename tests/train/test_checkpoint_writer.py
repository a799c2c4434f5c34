"""Checkpoints are written beside training: the latest is never lost, and errors are not either."""

from __future__ import annotations

import threading
import time

import pytest

from edgekit.train.checkpoint_writer import CheckpointWriter
from edgekit.train.times import Times


def test_training_does_not_wait_and_the_latest_checkpoint_is_written():
    release, written = threading.Event(), list[int]()

    def slow(number: int):
        def write() -> None:
            release.wait(10)
            written.append(number)

        return write

    with CheckpointWriter() as writer:
        writer.submit(slow(0))
        while writer._next is not None:  # the first has begun
            time.sleep(0.001)
        for number in range(1, 5):
            writer.submit(slow(number))
        assert written == []
        release.set()
    assert written == [0, 4]


def test_an_interrupt_waits_for_the_latest_checkpoint():
    written = list[str]()

    def write() -> None:
        time.sleep(0.05)
        written.append("done")

    with pytest.raises(KeyboardInterrupt), CheckpointWriter() as writer:
        writer.submit(write)
        raise KeyboardInterrupt
    assert written == ["done"]


def test_an_error_of_the_disk_ends_training():
    def fails() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), CheckpointWriter() as writer:
        writer.submit(fails)
        writer.flush()
    with pytest.raises(OSError, match="No space left"), CheckpointWriter() as writer:
        writer.submit(fails)


def test_parts_of_the_profile_do_not_overlap():
    times = Times(iter([0.0, 1.0, 2.0, 5.0, 9.0, 10.0]).__next__)
    with times.measure("step"), times.measure("checkpoint"):
        pass
    times.move(1.0, "step", "compile")
    record = times.record()
    assert (record.step_seconds, record.checkpoint_seconds, record.compile_seconds) == (4.0, 3.0, 1.0)
    assert record.other_seconds == 2.0
