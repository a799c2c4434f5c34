"""Values that real files, shells and editors produce, and that programs stumble over; and ways to change a document."""

from __future__ import annotations

import copy
import random
from typing import Any

TEXTS = (
    "", " ", "\t", "0", "-1", "1e3", "1e999", "-0", "nan", ".nan", ".inf", "-.inf", "inf", "null", "~", "true",
    "yes", "off",
    "[", "]", "[]", "[[]]", "{", "{}", "{a: 1}", "[1, 2", "'", '"', "\\", "\\n", "%s", "{0}", "$HOME", "`id`", ";",
    "|", ">", "&a",
    "*a", "!", "!!int x", "!!bool 3", "!!python/object:os.system {}", "!!binary x", "!!set {a}", "<<", "=", "- a",
    "? a", "#", "%",
    "@", "2024-13-45", "2024-01-02", "12:30", "0x", "0b2", "0o9", "1_000", "9" * 40, "9" * 5000, "-" + "9" * 40,
    "0.1" * 3, "a" * 300,
    "a" * 5000, "../..", "/", "/etc/passwd", "/dev/null", "/proc/self/mem", ".", "..", "~", "~nobody/x", "a/b",
    "a\\b", "C:\\x", "a b",
    "-", "--", "-x", "--set", "\x00", "\x1b[31m", "\x7f", "\u2028", "\u202e", "\ufeff", "\u00e9", "\u00df" * 200,
    "\U0001f600", "\ud800",
    "mobilenetv2", "tflite-int8", "fine-tuning", "imagenet", "none", "[0, 1]", "[1, a]", "{x: {y: {z: 1}}}",
    "[" * 60 + "]" * 60,
)  # fmt: skip
"""Also as the right-hand side of ``--set KEY=VALUE``."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 5, 10**6, 10**9, 2**31, 2**63, -(2**63), 10**25, 0.0, -0.0, 0.5, 1.0, -1.0,
    1e-300, 1e300,
    -1e300, float("nan"), float("inf"), "", "a", "0", "../../x", "/etc/passwd", "x" * 3000, "\x00", "\x1b[2J", "\u2028",
    "<script>alert(1)</script>", "\ud800", [], [1], ["a"], [None], [[]], {}, {"a": 1}, {"": None}, [0] * 200,
)  # fmt: skip


def changed_document(draw: random.Random, document: Any, changes: int = 1) -> Any:
    """A copy of a JSON document in which some places are removed, doubled, exchanged or replaced."""
    document = copy.deepcopy(document)
    for _ in range(changes):
        places = list(_places(document))
        if not places:
            return document
        holder, key = draw.choice(places)
        _change(draw, holder, key, places)
    return document


def _change(draw: random.Random, holder: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    value = holder[key]
    kind = draw.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
    elif kind == 2 and isinstance(holder, dict):
        holder[draw.choice(["extra", "", "schema_version", f"{key} "])] = value
    elif kind == 3:
        other, at = draw.choice(places)
        holder[key] = copy.deepcopy(other[at])
    elif kind == 4 and isinstance(value, int | float) and not isinstance(value, bool):
        holder[key] = draw.choice([-value, value * 1000, value + 1, value - 1, 0, float(value), value / 7])
    elif kind == 5 and isinstance(value, list) and value:
        holder[key] = draw.choice([value[:1], value[1:], value[::-1], value * 2, []])
    elif kind == 6 and isinstance(value, str):
        holder[key] = draw.choice(
            [value.upper(), value[: len(value) // 2], f"{value}{value}", f"../{value}", f" {value}", value[::-1]]
        )
    else:
        holder[key] = copy.deepcopy(draw.choice(VALUES))


def _places(value: Any) -> Any:
    """Every (dictionary, key) and (list, index) in a document; of long lists only some."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value[:4]):
            yield value, index
            yield from _places(inner)


def changed_text(draw: random.Random, text: str) -> str:
    """A text file after an accident: lines lost, doubled, moved or broken, values replaced, odd characters."""
    lines = text.splitlines()
    for _ in range(draw.choice([1, 1, 1, 2, 3, 6])):
        at = draw.randrange(len(lines) or 1)
        lines = lines or [""]
        line = lines[at]
        kind = draw.randrange(9)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, line)
        elif kind == 2:
            lines[at] = line.partition(":")[0] + ": " + draw.choice(TEXTS)
        elif kind == 3:
            lines[at] = line.partition("=")[0] + "= " + draw.choice(TEXTS)
        elif kind == 4:
            lines[at] = " " * draw.randrange(9) + line.lstrip()
        elif kind == 5:
            lines[at] = (
                line[: draw.randrange(len(line) + 1)] + draw.choice(TEXTS) + line[draw.randrange(len(line) + 1) :]
            )
        elif kind == 6:
            lines.insert(at, draw.choice(TEXTS))
        elif kind == 7:
            lines = lines[: at + 1]
        else:
            other = draw.randrange(len(lines))
            lines[at], lines[other] = lines[other], line
    return "\n".join(lines) + draw.choice(["\n", "", "\r\n"])


def changed_bytes(draw: random.Random, content: bytes) -> bytes:
    """A binary file after an accident: cut, bits flipped, blocks zeroed, doubled or exchanged, other bytes appended."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 5])):
        if not data:
            break
        at, length = draw.randrange(len(data)), draw.choice([1, 4, 16, 300])
        kind = draw.randrange(7)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif kind == 4:
            data[at : at + length] = draw.randbytes(len(data[at : at + length]))
        elif kind == 5:
            data[at : at + 4] = draw.choice(
                [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00"]
            )
        else:
            data += draw.choice([b"\0" * 1000, draw.randbytes(50), bytes(content[:200]), b"PK\x05\x06" + b"\0" * 18])
    return bytes(data)
