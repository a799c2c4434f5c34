"""Small helpers that turn text from docstrings and help into Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

COMMAND = "make docs-reference"
"""Writes the generated pages again."""


def notice(source: str) -> str:
    """The comment at the top of a generated page."""
    return f"<!-- Generated from {source}. Do not edit: change the source, then run `{COMMAND}`. -->"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the cells are Markdown already, except that ``|`` is escaped here."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def code(text: str) -> str:
    """Inline code."""
    return f"`{text}`" if text else ""


def block(text: str, language: str = "") -> str:
    """A fenced code block."""
    return f"```{language}\n{text.rstrip()}\n```"


def prose(text: str) -> str:
    """Running text of a docstring or a help text: reST literals and roles become code, special characters are escaped.

    Command-line options are set as code, because Markdown would join their dashes.
    """
    text = inspect.cleandoc(text) if "\n" in text else text.strip()
    text = re.sub(r":[a-z]+:`~?([^`<]+)`", r"`\1`", text)
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    text = re.sub(r"([\\*<>\[\]])", r"\\\1", text)
    text = re.sub(r"(?<![\w`])(--[a-z][a-z0-9-]*)", r"`\1`", text)
    return re.sub(r"(?<![\w`/.])([A-Za-z][\w./]*_[\w.]*(?:=\w+)?)", r"`\1`", text)


def first_sentence(text: str) -> str:
    """The first paragraph's first sentence."""
    paragraph = text.strip().split("\n\n")[0]
    match = re.match(r"(.+?[.!?])(\s|$)", paragraph, flags=re.DOTALL)
    return " ".join((match.group(1) if match else paragraph).split())
