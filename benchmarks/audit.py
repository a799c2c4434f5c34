"""How long the audit takes: on a folder of images, and its index of near duplicates on ever more hashes.

    python benchmarks/audit.py --data DIR --out benchmarks/results/audit.json

The hashes are random, a twentieth of them planted near another (4 bits away), which have all to be found. Every size is
timed three times; ``times`` is the growth against the size before, where 10 would be linear.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import show, told, write_result

from edgekit.data.audit.duplicates import NEAR_BITS
from edgekit.data.audit.hamming import near_pairs
from edgekit.data.audit.summary import audit_folder
from edgekit.errors import EdgekitError

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def planted(count: int) -> np.ndarray:
    """Random hashes, uint64 (count, 4), whose last twentieth is the first with four bits turned."""
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, (count, 4), dtype=np.uint64)
    some = count // 20
    hashes[-some:] = hashes[:some]
    hashes[-some:, 2] ^= np.uint64(0x1000_0010_0020_0001)
    return hashes


def index_growth(rounds: int) -> list[dict[str, Any]]:
    found = []
    for count in SIZES:
        hashes = planted(count)
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            pairs = near_pairs(hashes, NEAR_BITS)
            seconds.append(time.perf_counter() - started)
        missed = count // 20 - int(np.count_nonzero(pairs.distance == 4))
        found.append({"n_hashes": count, "seconds": seconds, "planted": count // 20, "missed": missed})
    return found


def folder_time(data: Path) -> dict[str, Any]:
    """The first audit (every image decoded) and the second (nothing decoded) with a cache of their own."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["EDGEKIT_CACHE"] = cache
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            document = audit_folder(data).document()
            seconds.append(time.perf_counter() - started)
    counts = {
        kind: {"within": document[kind]["within"], "across": [e["n_files"] for e in document[kind]["across"]]}
        for kind in ("exact_duplicates", "near_duplicates")
    }
    return {"n_images": document["n_images"], "first_seconds": seconds[0], "again_seconds": seconds[1], **counts}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of labelled images to audit as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the raw times as JSON")
    arguments = parser.parse_args()
    try:
        folder = None if arguments.data is None else folder_time(arguments.data)
    except EdgekitError as error:
        return told(error)
    growth = index_growth(arguments.rounds)
    rows = []
    for before, entry in zip([None, *growth], growth):
        median = float(np.median(entry["seconds"]))
        times = "" if before is None else f"{median / float(np.median(before['seconds'])):.1f}"
        rows.append([f"{entry['n_hashes']:,}", f"{median:.2f}", times, f"{entry['planted']:,}", str(entry["missed"])])
    show(["hashes", "median s", "times", "planted pairs", "missed"], rows, right=range(5))
    if folder is not None:
        print(
            f"\n{folder['n_images']:,} images: {folder['first_seconds']:.1f} s the first time, "
            f"{folder['again_seconds']:.1f} s again"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    write_result(arguments.out, "audit", {"index": growth, "folder": folder, "peak_rss_bytes": peak})
    return 0


if __name__ == "__main__":
    sys.exit(main())
