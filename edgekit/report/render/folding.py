"""Parts of a large page that are unpacked when a reader opens them.

A study of a thousand cells has details for each of them. As plain HTML they would make the page too slow to open and
too large to send, so on a page that is large, the inside of folded details and the rows of long tables after the first
ones are stored compressed in the page, which stays a single file. The page's script puts them in place when they are
opened. On a page that is not large, everything is in its place from the start.

Templates call :class:`Folding` while they are rendered, which is before the size of the page is known. It leaves
comments behind, which cannot come from data because data is escaped, and :meth:`Folding.finish` replaces them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from markupsafe import Markup

INLINE_CHARACTERS = 1_500_000
"""A page whose folded parts are smaller than this together is not large."""

ROWS_SHOWN = 100
"""Rows of a long table that are shown at once."""

_ROWS_AT_LEAST = 150
"""Shorter tables are shown as a whole."""

_CHUNK_CHARACTERS = 250_000
"""Parts are compressed together, because they are alike, until they have this size."""

_TOKEN = re.compile(r"<!--(fold|rows|more|picture) (\d+)-->")


@dataclass
class Folding:
    """Collects the parts of one page."""

    _folds: list[str] = field(default_factory=list)
    _rows: list[tuple[int, str]] = field(default_factory=list)
    _pictures: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _chunks: list[list[str]] = field(default_factory=list)
    _filled: int = _CHUNK_CHARACTERS

    def fold(self, content: str) -> Markup:
        """``content``, which stands in a ``<details>`` element after its summary."""
        self._folds.append(str(content))
        return _token("fold", len(self._folds) - 1)

    def table(self, content: str) -> tuple[Markup, Markup]:
        """A table, and what follows it: a button for its other rows where it has very many."""
        head, _, tail = str(content).partition("<tbody>")
        body, _, rest = tail.partition("</tbody>")
        rows = re.split(r"(?=<tr[\s>])", body)  # what precedes the first row, and the rows
        if len(rows) - 1 <= _ROWS_AT_LEAST or "<tbody>" in rest:
            return Markup(content), Markup()  # noqa: S704 - rendered by a template
        self._rows.append((len(rows) - 1 - ROWS_SHOWN, "".join(rows[ROWS_SHOWN + 1 :])))
        number = len(self._rows) - 1
        shown = "".join(rows[: ROWS_SHOWN + 1]) + str(_token("rows", number))  # a plain string is not escaped
        return Markup(f"{head}<tbody>{shown}</tbody>{rest}"), _token("more", number)  # noqa: S704 - as above

    def picture(self, jpeg: bytes) -> Markup:
        """The source of an ``<img>`` element, as an attribute; the same picture is stored once."""
        key = hashlib.sha256(jpeg).hexdigest()
        number, _ = self._pictures.setdefault(key, (len(self._pictures), jpeg))
        return _token("picture", number)

    def finish(self, sections: Sequence[str]) -> tuple[list[Markup], Markup]:
        """The sections with all parts in place, and the data that the page's script unpacks (none if it is small)."""
        pictures = [_base64(jpeg) for _, jpeg in self._pictures.values()]
        size = sum(map(len, self._folds)) + sum(len(rows) for _, rows in self._rows) + sum(map(len, pictures))
        if size < INLINE_CHARACTERS:
            plain = partial(self._plain, pictures)
            return [Markup(self._replaced(html, plain)) for html in sections], Markup()  # noqa: S704 - rendered
        found = [Markup(self._replaced(html, self._packed)) for html in sections]  # noqa: S704 - rendered
        blocks = [
            f'<script type="application/octet-stream" id="packed-{i}">{_base64(_compressed(parts))}</script>'
            for i, parts in enumerate(self._chunks)
        ]
        if pictures:
            blocks.append(f'<script type="application/json" id="pictures">{json.dumps(pictures)}</script>')
        return found, Markup("\n".join(blocks))  # noqa: S704 - base64

    def _replaced(self, text: str, by: Callable[[str, int], str]) -> str:
        return _TOKEN.sub(lambda found: by(found.group(1), int(found.group(2))), text)

    def _plain(self, pictures: list[str], kind: str, number: int) -> str:
        if kind == "picture":
            return f'src="data:image/jpeg;base64,{pictures[number]}"'
        if kind == "more":
            return ""
        content = self._folds[number] if kind == "fold" else self._rows[number][1]
        return self._replaced(content, partial(self._plain, pictures))

    def _packed(self, kind: str, number: int) -> str:
        if kind == "picture":
            return f'data-picture="{number}"'
        if kind == "rows":
            return ""
        if kind == "fold":
            return f'<div data-packed="{self._put(self._folds[number])}"></div>'
        count, rows = self._rows[number]
        where = self._put(rows)
        return f'<p class="more"><button type="button" data-packed="{where}">Show {count:,} more rows</button></p>'

    def _put(self, content: str) -> str:
        """Store a part; returns its chunk and its place in there. Parts inside it are stored first."""
        content = self._replaced(content, self._packed)
        if self._filled + len(content) > _CHUNK_CHARACTERS:
            self._chunks.append([])
            self._filled = 0
        self._filled += len(content)
        self._chunks[-1].append(content)
        return f"{len(self._chunks) - 1} {len(self._chunks[-1]) - 1}"


def _token(kind: str, number: int) -> Markup:
    return Markup(f"<!--{kind} {number}-->")  # noqa: S704 - no data


def _compressed(parts: list[str]) -> bytes:
    """The parts as JSON, in the zlib format (RFC 1950), which browsers call ``deflate``."""
    return zlib.compress(json.dumps(parts, ensure_ascii=False).encode(), 9)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
