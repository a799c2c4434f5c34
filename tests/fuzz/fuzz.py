"""Give edgekit many odd inputs, and count what goes wrong.

    python tests/fuzz/fuzz.py --inputs 20000 --seed 0 --out benchmarks/results/fuzz.json
    python tests/fuzz/fuzz.py --seconds 7200

Input N of an area depends on the seed, the area and N only, so that a finding can be repeated:

    python tests/fuzz/fuzz.py --seed 0 --only documents/1234
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
for folder in (HERE.parents[1], HERE.parent, HERE.parent / "report", HERE):
    sys.path.insert(0, str(folder))

from areas import AREAS  # noqa: E402
from attempts import Finding, Workspace  # noqa: E402


def attempt(area: str, number: int, seed: int, work: Workspace) -> None:
    """Try one input; raises :class:`Finding`."""
    AREAS[area].attempt(random.Random(f"{seed}/{area}/{number}"), work)


def numbered(inputs: int | None, areas: list[str]) -> Iterator[tuple[str, int]]:
    """Areas and numbers of inputs, mixed by their shares; without end if ``inputs`` is None."""
    count = 0
    counts: Counter[str] = Counter()
    while inputs is None or count < inputs:
        # The area that is furthest behind its share.
        area = min(areas, key=lambda name: (counts[name] + 1) / AREAS[name].share)
        yield area, counts[area]
        counts[area] += 1
        count += 1


def run(inputs: int | None, seconds: float | None, seed: int, areas: list[str], only: str | None) -> dict[str, Any]:
    """The counts and the findings."""
    counts: Counter[str] = Counter()
    findings: list[dict[str, str]] = []
    slowest: dict[str, float] = {}
    started = time.monotonic()
    chosen = [(only.partition("/")[0], int(only.partition("/")[2]))] if only else numbered(inputs, areas)
    with tempfile.TemporaryDirectory(prefix="edgekit-fuzz-") as folder:
        os.environ["EDGEKIT_CACHE"] = str(Path(folder) / "edgekit-cache")
        os.environ["XDG_CONFIG_HOME"] = str(Path(folder) / "edgekit-config")
        spaces: dict[str, Workspace] = {}
        for area, number in chosen:
            if seconds is not None and time.monotonic() - started > seconds:
                break
            if area not in spaces:
                spaces[area] = Workspace(Path(folder) / area)
                spaces[area].path.mkdir()
                AREAS[area].prepare(spaces[area])
            before = time.monotonic()
            try:
                attempt(area, number, seed, spaces[area])
                spaces[area].check()
            except Finding as finding:
                findings.append({"input": f"{area}/{number}", "finding": str(finding)})
            except Exception:  # noqa: BLE001
                findings.append({"input": f"{area}/{number}", "finding": traceback.format_exc()})
            if findings and findings[-1]["input"] == f"{area}/{number}":
                print(f"--- {area}/{number}\n{findings[-1]['finding']}", flush=True)
            counts[area] += 1
            slowest[area] = max(slowest.get(area, 0.0), time.monotonic() - before)
            if sum(counts.values()) % 100 == 0:
                print(
                    f"{sum(counts.values())} inputs, {len(findings)} findings, {time.monotonic() - started:.0f} s",
                    flush=True,
                )
    return {
        "seed": seed,
        "inputs": sum(counts.values()),
        "by_area": dict(sorted(counts.items())),
        "findings": len(findings),
        "slowest_s": {area: round(value, 2) for area, value in sorted(slowest.items())},
        "seconds": round(time.monotonic() - started, 1),
        "failed_inputs": findings,
    }


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts of runs over different areas as one."""
    by_area: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    for part in parts:
        by_area.update(part["by_area"])
        slowest |= part["slowest_s"]
    return {
        "command": [part["command"] for part in parts],
        "seed": parts[0]["seed"],
        "inputs": sum(by_area.values()),
        "by_area": dict(sorted(by_area.items())),
        "findings": sum(part["findings"] for part in parts),
        "slowest_s": dict(sorted(slowest.items())),
        "seconds": round(sum(part["seconds"] for part in parts), 1),
        "failed_inputs": [one for part in parts for one in part["failed_inputs"]],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, help="how many inputs (default: without end)")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--area", action="append", choices=list(AREAS), help="only this area; repeatable")
    parser.add_argument("--only", metavar="AREA/N", help="repeat one input")
    parser.add_argument("--out", type=Path, help="write the counts to this file")
    parser.add_argument("--merge", nargs="+", type=Path, metavar="FILE", help="add up the counts in these files")
    given = parser.parse_args()
    if given.merge:
        print(json.dumps(merged([json.loads(file.read_text()) for file in given.merge]), indent=1))
        return 0
    found = run(given.inputs, given.seconds, given.seed, given.area or list(AREAS), given.only)
    print(json.dumps({**found, "failed_inputs": [one["input"] for one in found["failed_inputs"]]}, indent=1))
    if given.out is not None:
        command = f"python tests/fuzz/fuzz.py {shlex.join(sys.argv[1:])}"
        given.out.write_text(json.dumps({"command": command, **found}, indent=1) + "\n")
    return 1 if found["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
