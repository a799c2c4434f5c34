"""Finds the exported files of a baseline: in the baseline itself, where they were, or in a folder that was named."""

from __future__ import annotations

from pathlib import Path

from edgekit.device.runtime_table import SUFFIXES
from edgekit.errors import InputError
from edgekit.regression.baseline import Baseline, model_entry
from edgekit.regression.pairing import Pair
from edgekit.support.files import sha256_file, write_bytes


def find_file(baseline: Baseline, pair: Pair, named: Path | None, unpacked: Path) -> Path | None:
    """The baseline's own file of ``pair``; None if it is not here.

    ``named``: a folder with exported files. ``unpacked``: where a file that the baseline contains goes.
    """
    if pair.same_file:
        return pair.path
    if pair.file.embedded:
        place = unpacked / f"{pair.run.folder}-{pair.file.key}"
        if not place.is_file() or sha256_file(place) != pair.file.sha256:
            write_bytes(place, baseline.read(model_entry(pair.run, pair.file)))
        if sha256_file(place) != pair.file.sha256:
            raise InputError("this baseline is damaged: an exported file has changed", where=str(baseline.path))
        return place
    candidates = [baseline.path.parent / pair.file.path]
    if named is not None:
        candidates += sorted(path for path in named.rglob("*") if path.suffix in SUFFIXES)
    return next((path for path in candidates if _is(path, pair)), None)


def _is(path: Path, pair: Pair) -> bool:
    try:
        return path.is_file() and path.stat().st_size == pair.file.size_bytes and sha256_file(path) == pair.file.sha256
    except OSError:
        return False
