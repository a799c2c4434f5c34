"""Text and tables as Markdown, in which nothing from data can be taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from edgekit.device.plain_text import visible


def escaped(text: str) -> str:
    """``text`` on one line, with every character escaped that Markdown or HTML would take for markup."""
    plain = re.sub(r"([\\`*_\[\]<>|])", r"\\\1", visible(" ".join(text.split())))
    return re.sub(r"^([#+-])(?=\s|#)", r"\\\1", plain)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are escaped."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines)


def bullets(texts: Iterable[str]) -> str:
    """A list of texts that are already Markdown."""
    return "\n".join(f"- {text}" for text in texts)
