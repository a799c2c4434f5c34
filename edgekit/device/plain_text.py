"""Text from files and other machines, made harmless for a terminal or a page. Standard library only."""

from __future__ import annotations

import re

CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Control characters, line separators, marks that reorder or hide text, and halves of characters."""


def visible(text: str, keep: str = "") -> str:
    r"""``text`` with control characters as ``\x1b``, ``\n`` and ``\u202e``, except for those in ``keep``."""
    return CONTROLS.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    code = ord(character)
    return named.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
