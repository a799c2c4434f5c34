"""What the benchmarks of training share: a small copy of a dataset, edgekit as a person starts it, one table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.cli.output import table
from edgekit.data import open_dataset
from edgekit.device import probe
from edgekit.documents.base import write_json
from edgekit.errors import EdgekitError
from edgekit.recipe import Data
from edgekit.stats.latency import Ratio, compare_rounds


@dataclass(frozen=True)
class Finished:
    """A program that ended well: its JSON document and its wall-clock time with interpreter, imports and all."""

    document: dict[str, Any]
    wall_ns: int


def subset(data: Path, folder: Path, per_class: int | None, test_per_class: int | None) -> Path:
    """``folder`` with train, val and test folders that link to images of ``data``, split as edgekit splits them.

    ``per_class`` limits the training and validation images, ``test_per_class`` the test images of each class.
    """
    dataset = open_dataset(Data(path=str(data), limit_per_class=per_class))
    taken: dict[tuple[str, int], int] = {}
    for number, (path, label, split) in enumerate(zip(dataset.paths(), dataset.labels.tolist(), dataset.splits)):
        key = (str(split), label)
        taken[key] = taken.get(key, 0) + 1
        if split == "test" and test_per_class is not None and taken[key] > test_per_class:
            continue
        link = folder / str(split) / dataset.classes[label] / f"{number:06d}{path.suffix.lower()}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return folder


def images_in(folder: Path) -> int:
    """How many files there are below ``folder``."""
    return sum(1 for path in folder.rglob("*") if path.is_file())


def run_program(
    arguments: Sequence[str], environment: dict[str, str] | None = None, timeout_s: float | None = None
) -> Finished:
    """``python ARGUMENTS`` to its end; the JSON document it prints.

    Raises :class:`EdgekitError` with the last of what it said where it fails or takes longer than ``timeout_s``.
    """
    started = time.perf_counter_ns()
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        last = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        raise EdgekitError(
            f"{' '.join(arguments[:3])} ... was stopped after {timeout_s:.0f} s:\n{last[-2000:].strip()}"
        ) from None
    wall_ns = time.perf_counter_ns() - started
    if done.returncode != 0:
        raise EdgekitError(
            f"{' '.join(arguments[:3])} ... ended with code {done.returncode}:\n{done.stderr[-2000:].strip()}"
        )
    return Finished(json.loads(done.stdout), wall_ns)


def ratio_text(ratio: Ratio) -> str:
    """``3.20 [3.05, 3.41]``: the median over rounds and its interval."""
    return f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def ratio_of(a: Sequence[int], b: Sequence[int]) -> Ratio:
    """``a`` over ``b`` where each round gave one number of both."""
    return compare_rounds([[value] for value in a], [[value] for value in b])


def show(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    print(table(headers, rows, right=right))


def write_result(path: Path | None, benchmark: str, document: dict[str, Any]) -> None:
    """The raw numbers and the machine as JSON, where asked for."""
    if path is not None:
        write_json(path, {"benchmark": benchmark, **document, "environment": probe.environment()})


def told(error: EdgekitError) -> int:
    """The error as the last line of a benchmark, and its exit code."""
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
