"""Cells on a local Ray cluster; without Ray there is nothing to test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekit.compare.commands import StepFailed
from edgekit.compare.executors import Executor, open_executor

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with open_executor("ray", 2) as executor:
        yield executor


def test_commands_run_on_the_cluster(pool: Executor) -> None:
    futures = [pool.submit(["list", what], True, {}) for what in ("backbones", "formats")]
    assert ["backbones" in futures[0].result(), "formats" in futures[1].result()] == [True, True]
    assert pool.submit(None, True, {}).result() is None


def test_a_failed_command_fails_the_cell(pool: Executor) -> None:
    with pytest.raises(StepFailed, match="no-such-recipe") as error:
        pool.submit(["train", "no-such-recipe"], True, {}).result()
    assert not error.value.again
