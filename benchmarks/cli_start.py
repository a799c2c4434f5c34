"""How long the command line takes to answer, against an empty Python and against importing its parser.

    python benchmarks/cli_start.py --out cli_start.json

Every round starts each command once, in a random order. The ratio is taken per round.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import ratio_of, ratio_text, show, write_result

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import typer": ["-c", "import typer"],
    "edgekit --version": ["-m", "edgekit", "--version"],
    "edgekit --help": ["-m", "edgekit", "--help"],
    "edgekit train --help": ["-m", "edgekit", "train", "--help"],
}
REFERENCES = ("python -c pass", "import typer")


def start(arguments: list[str]) -> int:
    """Nanoseconds from starting the process to its end."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter_ns()
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter_ns() - started


def measure(rounds: int) -> dict[str, list[int]]:
    for arguments in COMMANDS.values():  # byte code is compiled and files are in memory from here on
        start(arguments)
    order = random.Random(0)
    times: dict[str, list[int]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name in order.sample(list(COMMANDS), len(COMMANDS)):
            times[name].append(start(COMMANDS[name]))
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="write the raw times as JSON")
    arguments = parser.parse_args()
    times = measure(arguments.rounds)
    rows = [
        [
            name,
            f"{np.median(values) / 1e6:.0f}",
            f"{min(values) / 1e6:.0f}",
            *("" if name in REFERENCES else ratio_text(ratio_of(values, times[other])) for other in REFERENCES),
        ]
        for name, values in times.items()
    ]
    show(["command", "median ms", "min ms", "times empty Python", "times import typer"], rows, right=(1, 2, 3, 4))
    ratios = [
        {"command": name, "against": other, **ratio_of(values, times[other]).document()}
        for name, values in times.items()
        for other in REFERENCES
        if name not in REFERENCES
    ]
    write_result(arguments.out, "cli_start", {"rounds": arguments.rounds, "ratios": ratios, "times_ns": times})
    return 0


if __name__ == "__main__":
    sys.exit(main())
