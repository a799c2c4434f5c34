"""The files of the page that are the same for every model, and where each belongs in the folder of a page."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent / "page"

HEADLESS_ONLY = ("job.html", "js/job.js")
"""What only `edgekit bench` opens."""


def assets(*, headless: bool = False) -> dict[str, Path]:
    """The files by their POSIX path in the page's folder."""
    files = {path.relative_to(PAGE).as_posix(): path for path in sorted(PAGE.rglob("*")) if path.is_file()}
    return {name: path for name, path in files.items() if headless or name not in HEADLESS_ONLY}
