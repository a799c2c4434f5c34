"""Recipe files as YAML: line numbers are kept, duplicate keys are errors, and 3e-4 is a number.

A recipe is data: mappings, lists, text, numbers, booleans and null. Other types of YAML (dates, sets, binary data,
Python objects) are errors. The size of a file, its depth and what its aliases expand to are limited, so that reading
ends soon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from edgekit.errors import InputError

KeyLines = Mapping[tuple[str, ...], int]
"""The line (counted from 1) of each key, by the names on its path."""

MAX_CHARACTERS = 300_000
"""Longest recipe. PyYAML reads about 100,000 characters a second."""

MAX_DEPTH = 40
"""Most levels of nesting. Recipes have about six."""

MAX_VALUES = 100_000
"""Most keys and values, with aliases written out."""

_TAG = "tag:yaml.org,2002:"
"""What the tags of the types that YAML defines begin with."""


def parse_yaml(text: str, origin: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The document and the line of every key; raises :class:`InputError` for invalid YAML and duplicate keys."""
    try:
        document, node = _load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{origin}:{mark.line + 1}" if mark is not None else origin
        raise InputError(f"invalid YAML: {_problem(error)}", where=line) from None
    if node is None:
        document = {}
    if not isinstance(document, dict):
        raise InputError("a recipe must be a mapping of sections (data, model, train, ...)", where=origin)
    return document, _key_lines(node)


def parse_value(text: str, what: str) -> object:
    """One YAML value, such as the right-hand side of ``--set KEY=VALUE``; ``what`` names it in the error."""
    try:
        return _load(text)[0]
    except yaml.YAMLError as error:
        raise InputError(f"{what} is not valid YAML: {_problem(error)}") from None


def _load(text: str) -> tuple[object, yaml.Node | None]:
    """The value and the node that it is made from; raises :class:`yaml.YAMLError` for everything that is refused."""
    if len(text) > MAX_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text):,} characters, and a recipe may have {MAX_CHARACTERS:,}")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _check_extent(node)
        return _value(loader, node), node
    except RecursionError:
        raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    finally:
        loader.dispose()


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong, in one line."""
    return str(getattr(error, "problem", None) or str(error).partition("\n")[0])


def _value(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    """The plain value of a node that :func:`_check_extent` has accepted."""
    kind = str(node.tag).removeprefix(_TAG)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(loader, node)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_value(loader, inner) for inner in node.value]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(loader, node, kind)
    raise _problem_at(node, f"a recipe cannot contain a value of type {kind!r}")


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[object, object]:
    values: dict[object, object] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _problem_at(key_node, "a key must be text, not a list or a mapping")
        if key_node.tag == f"{_TAG}merge":
            raise _problem_at(key_node, "merge keys (<<) are not supported; write the keys out")
        key = _scalar(loader, key_node, str(key_node.tag).removeprefix(_TAG))
        if key in values:
            raise _problem_at(key_node, f"the key {key!r} is given twice")
        values[key] = _value(loader, value_node)
    return values


def _scalar(loader: yaml.SafeLoader, node: yaml.ScalarNode, kind: str) -> object:
    if kind == "str":
        return _text_or_number(node)
    if kind not in ("int", "float", "bool", "null"):
        advice = f"; write '{node.value}' in quotes" if kind in ("timestamp", "value") else ""
        raise _problem_at(node, f"a recipe cannot contain a value of type {kind!r}{advice}")
    try:
        value: object = getattr(loader, f"construct_yaml_{kind}")(node)
    except (ValueError, KeyError, IndexError, OverflowError):
        raise _problem_at(node, f"{_clipped(node.value)} is not a valid {kind}") from None
    return value


def _text_or_number(node: yaml.ScalarNode) -> float | str:
    """Text, or the number that YAML 1.2 reads in ``3e-4``."""
    text = str(node.value)
    try:
        return float(text) if node.style is None and "e" in text.lower() else text
    except ValueError:
        return text


def _clipped(text: str, most: int = 40) -> str:
    return repr(text if len(text) <= most else f"{text[:most]}...")


def _problem_at(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _check_extent(root: yaml.Node) -> None:
    """Refuse a document that is too deep, contains itself, or is too large once its aliases are written out.

    Each node is measured once, however often aliases refer to it.
    """
    sizes: dict[int, tuple[int, int]] = {}  # by node: number of values and depth
    inside: set[int] = set()  # nodes whose inner nodes are being measured
    todo = [root]
    while todo:
        node = todo[-1]
        inner = _inner(node)
        unknown = [one for one in inner if id(one) not in sizes]
        if unknown:
            if id(node) in inside:
                raise _problem_at(node, "an alias refers to a value that contains it")
            inside.add(id(node))
            todo += unknown
            continue
        todo.pop()
        inside.discard(id(node))
        values = 1 + sum(sizes[id(one)][0] for one in inner)
        depth = 1 + max((sizes[id(one)][1] for one in inner), default=0)
        if values > MAX_VALUES:
            raise _problem_at(node, f"it has more than {MAX_VALUES:,} values, with aliases expanded")
        if depth > MAX_DEPTH:
            raise _problem_at(node, f"it is nested more than {MAX_DEPTH} levels deep")
        sizes[id(node)] = values, depth


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _key_lines(node: yaml.Node | None, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*prefix, str(key.value))
            lines[path] = key.start_mark.line + 1
            lines |= _key_lines(value, path)
    return lines
