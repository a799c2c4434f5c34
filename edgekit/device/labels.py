"""Class names from a labels file, in the order of the model's outputs. Lines are separated by ``\\n`` only."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

MOST_BYTES = 10_000_000
"""A labels file that is larger is refused."""

_CONTAINERS = ("labels", "label", "names", "classes", "class_names", "class_labels", "categories", "id2label")
_INDEX_CONTAINERS = ("label2id", "class_to_idx", "class_indices", "labels_map")
_NAME_COLUMNS = ("name", "label", "class", "class_name", "classname", "label_name", "category", "display_name")
_INDEX_COLUMNS = ("id", "index", "idx", "number", "class_id", "class_index", "label_id", "class_idx", "output")
_NUMBERED = re.compile(r"(\d{1,7})(?:\s*[:,;\t.)]\s*|\s+)(\S.*)")
_NUMBERED_BEHIND = re.compile(r"(\S.*?)\s*[,;\t:]\s*(\d{1,7})")
_OTHER_FORMATS = (".yaml", ".yml", ".xml", ".html", ".htm", ".pbtxt", ".toml", ".ini", ".pkl", ".npy", ".md")
_HOMONYMS = frozenset({"crane", "maillot", "cardigan", "sunglasses", "missile"})
"""Names that lists of the 1,000 classes of ImageNet contain twice."""


class LabelsError(ValueError):
    """A labels file cannot be used; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def unusable_name(name: str) -> str | None:
    """Why ``name`` cannot be the name of a class, or None if it can."""
    if not name.strip():
        return "a class name is empty"
    # Control characters, and the line and paragraph separators, break every file with one name per line.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        return f"the class name {name!a} contains a line break or another control character"
    return None


def own_labels(content: bytes) -> list[str]:
    """The names in a file that edgekit wrote: UTF-8, each ended by ``\\n``, nothing removed.

    Raises :class:`UnicodeDecodeError` for other bytes.
    """
    return content.decode("utf-8").split("\n")[:-1] if content.endswith(b"\n") else content.decode("utf-8").split("\n")


def parse_labels(content: bytes, file: str = "labels.txt", *, numbered: bool = True) -> list[str]:
    """The class names in the labels file ``file``, in the order of the model's outputs.

    Understands text with one name per line (with a byte order mark, in UTF-16, with blank lines at the end), numbered
    lines (``0 cat``), JSON (``{name: index}``, ``{index: name}``, ``[name, ...]``) and CSV. ``numbered=False`` keeps a
    number at the start of a line as a part of the name. Raises :class:`LabelsError` for a file that has no names, that
    can be read in two ways, or whose names are empty, occur twice or contain control characters.
    """
    suffix = PurePath(file).suffix.lower()
    if suffix in _OTHER_FORMATS:
        raise LabelsError(f"{suffix} files are not supported; use a text file with one name per line, JSON or CSV")
    text = _text(content)
    if not text.strip():
        raise LabelsError("the file contains no names")
    if suffix == ".json" or _looks_like_json(text):
        names = _from_json(text)
    elif suffix in (".csv", ".tsv"):
        names = _from_csv(text)
    else:
        names = _from_lines(text, numbered=numbered)
    return checked_names(names)


def checked_names(names: Sequence[str]) -> list[str]:
    """``names`` without spaces around them; raises :class:`LabelsError` for names that cannot be told apart."""
    names = [name.strip() for name in names]
    if not names:
        raise LabelsError("the file contains no names")
    for number, name in enumerate(names):
        problem = unusable_name(name)
        if problem:
            raise LabelsError(f"{problem} (name {number + 1} of {len(names)})")
    twice = _twice(names)
    if twice and not (len(names) >= 1000 and twice <= _HOMONYMS):
        raise LabelsError(f"{_listed(sorted(twice))} occurs more than once, so outputs cannot be told apart")
    return [f"{name} ({number})" if name in twice else name for number, name in enumerate(names)]


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise LabelsError(f"the file has {len(content) / 1e6:,.0f} MB, which is too large for a list of names")
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise LabelsError("the file is not UTF-8 text") from None
    if "\0" in text:
        raise LabelsError("the file is not text")
    return text


def _looks_like_json(text: str) -> bool:
    """Whether the text is JSON, or the start of it, rather than a list of names such as ``[unknown]``."""
    text = text.strip()
    if text.startswith("{") or (text.startswith("[") and text.endswith("]") and "," in text):
        return True
    return bool(re.match(r"\[\s*([\"\[{\d\n]|\]$)", text)) and not re.match(r"\[[^\"\n]*\]\s*\n", text)


def _from_lines(text: str, *, numbered: bool) -> list[str]:
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if not line:
            raise LabelsError(f"line {number} is empty, but a name is expected for every output")
    if re.match(r"(item|entry)\s*\{|<\?xml|<!doctype|<html|names\s*:", lines[0], re.IGNORECASE):
        raise LabelsError(f"the first line, {lines[0][:40]!r}, is not a name; use a file with one name per line")
    if all(len(line) > 1 and line[0] == line[-1] == '"' for line in lines):
        lines = [line[1:-1].replace('""', '"') for line in lines]
    if not numbered:
        return lines
    for pattern, index, name in ((_NUMBERED, 1, 2), (_NUMBERED_BEHIND, 2, 1)):
        found = [pattern.fullmatch(line) for line in lines]
        if all(found):
            pairs = [(int(match[index]), match[name]) for match in found if match]
            ordered = _without_numbers(pairs)
            if ordered is not None:
                return ordered
    return lines


def _without_numbers(pairs: list[tuple[int, str]]) -> list[str] | None:
    """Names by their number, or None if the numbers are a part of the names (``5 cent``, ``10 cent``)."""
    numbers = sorted(number for number, _ in pairs)
    first = numbers[0]
    if numbers == list(range(first, first + len(pairs))) and first in (0, 1):
        names = [name for _, name in sorted(pairs)]
        return names if first == 0 or len(set(names)) == len(names) else None
    if first == 0 and len(pairs) > 1:
        raise LabelsError(_not_all_numbers(numbers))
    return None


def _not_all_numbers(numbers: Sequence[int]) -> str:
    """Why these sorted output numbers do not name every output exactly once."""
    for expected, number in enumerate(numbers):
        if number != expected:
            what = "occurs twice" if number < expected else f"is missing (the numbers go up to {numbers[-1]})"
            return f"the names are numbered, but the number {min(number, expected)} {what}"
    return "the names are numbered, but not from 0"


def _from_json(text: str) -> list[str]:
    try:
        value = json.loads(text, object_pairs_hook=_without_repeated_keys)
    except LabelsError:
        raise
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"the file looks like JSON, but cannot be read as JSON ({str(error)[:80]})") from None
    return _names_in(_unpacked(value))


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = _twice([key for key, _ in pairs])
    if twice:
        raise LabelsError(f"{_listed(sorted(twice))} occurs more than once")
    return dict(pairs)


def _unpacked(value: Any) -> Any:
    """The labels of a JSON document that has them under a usual key."""
    if isinstance(value, dict):
        inside = [value[key] for key in (*_CONTAINERS, *_INDEX_CONTAINERS) if isinstance(value.get(key), (dict, list))]
        if len(inside) >= 1:
            names = [_names_in(one) for one in inside]
            if any(other != names[0] for other in names[1:]):
                raise LabelsError("the file contains several lists of names that differ")
            return names[0]
    return value


def _names_in(value: Any) -> list[str]:
    if isinstance(value, list):
        if value and all(isinstance(entry, dict) for entry in value):
            return _from_records(value)
        return [_name(entry) for entry in value]
    if not isinstance(value, dict):
        raise LabelsError("the JSON is neither a list of names nor an object of names and numbers")
    if not value:
        raise LabelsError("the file contains no names")
    by_name = [_number(index) for index in value.values()]
    by_index = [_number(key) for key in value]
    if None not in by_name and None not in by_index and not any(type(index) is int for index in value.values()):
        if value != {index: key for key, index in value.items()}:
            raise LabelsError("both sides of the JSON object are numbers in quotes, so it can be read in two ways")
        return [name for _, name in sorted((int(key), str(name)) for key, name in value.items())]
    if None not in by_name:
        return _ordered([(index, name) for index, name in zip(by_name, value) if index is not None])
    if None not in by_index:
        pairs = [(index, _name(name)) for index, name in zip(by_index, value.values()) if index is not None]
        return _ordered(pairs)
    raise LabelsError("the JSON object is neither {name: index} nor {index: name}")


def _from_records(records: list[dict[str, Any]]) -> list[str]:
    """``[{"id": 0, "name": "cat"}, ...]``, as in COCO and Label Studio."""
    for key in _NAME_COLUMNS:
        if all(isinstance(record.get(key), str) for record in records):
            numbers = [next((record[k] for k in _INDEX_COLUMNS if k in record), None) for record in records]
            if all(type(number) is int for number in numbers):
                return _ordered([(int(number), record[key]) for number, record in zip(numbers, records)])  # type: ignore[arg-type]
            return [record[key] for record in records]
    raise LabelsError("the entries of the JSON list have no names")


def _ordered(pairs: list[tuple[int, str]]) -> list[str]:
    numbers = sorted(number for number, _ in pairs)
    if numbers not in (list(range(len(pairs))), list(range(1, len(pairs) + 1))):
        raise LabelsError(_not_all_numbers(numbers))
    return [name for _, name in sorted(pairs)]


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return str(value[-1])  # {"0": ["n01440764", "tench"]}, the class index of Keras
    raise LabelsError(f"{json.dumps(value)[:60]} is not a class name")


def _number(value: Any) -> int | None:
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()) else None


def _from_csv(text: str) -> list[str]:
    rows = _csv_rows(text)
    header = [re.sub(r"\W+", "_", cell.lower()) for cell in rows[0]]
    name_at = next((header.index(name) for name in _NAME_COLUMNS if name in header), None)
    index_at = next((header.index(name) for name in _INDEX_COLUMNS if name in header), None)
    has_header = name_at is not None or index_at is not None
    body = rows[1:] if has_header else rows
    if not body:
        raise LabelsError("the file contains no names")
    if len(header) == 1:
        return [row[0] for row in body]
    if len(header) == 2:
        name_at, index_at = _two_columns(body, name_at, index_at)
    if name_at is None:
        raise LabelsError("it is not clear which column has the names; name it 'name' in the first row")
    if index_at is None:
        return [row[name_at] for row in body]
    numbers = [_number(row[index_at]) for row in body]
    if None in numbers:
        raise LabelsError(f"the numbers in column {index_at + 1} are not whole numbers")
    return _ordered([(number, row[name_at]) for number, row in zip(numbers, body) if number is not None])


def _csv_rows(text: str) -> list[list[str]]:
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=_delimiter(text))]
    except csv.Error as error:
        raise LabelsError(f"the file cannot be read as CSV ({error})") from None
    while rows and not any(rows[-1]):
        rows.pop()
    if not rows:
        raise LabelsError("the file contains no names")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise LabelsError(f"row {number} has {len(row)} columns, but the first row has {len(rows[0])}")
    return rows


def _two_columns(body: list[list[str]], name_at: int | None, index_at: int | None) -> tuple[int | None, int | None]:
    """Which of two columns has the names and which the numbers, where the header does not say both."""
    if name_at is None and index_at is None:
        numeric = [column for column in (0, 1) if all(_number(row[column]) is not None for row in body)]
        return (1 - numeric[0], numeric[0]) if len(numeric) == 1 else (None, None)
    if name_at is None and index_at is not None:
        return 1 - index_at, index_at
    if index_at is None and name_at is not None:
        return name_at, 1 - name_at
    return name_at, index_at


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _twice(names: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
