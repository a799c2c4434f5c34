"""Tables for the terminal: a table of names and figures within 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from edgekit.cli.output import table
from edgekit.render.text import clipped

WIDTH = 80


def fitted_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int], names: int = 0) -> str:
    """A table at most 80 columns wide. If it is too wide, the middle of the names in column ``names`` is cut."""
    text = table(headers, rows, right=right)
    excess = max(map(len, text.splitlines())) - WIDTH
    if excess <= 0:
        return text
    width = max(len(row[names]) for row in rows) - excess
    clip = [[clipped(cell, width, middle=True) if i == names else cell for i, cell in enumerate(row)] for row in rows]
    return table(headers, clip, right=right)


def wrapped(text: str, indent: str = "") -> str:
    """``text`` within 80 columns; continuation lines are indented by two more spaces."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
