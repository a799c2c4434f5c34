"""Recipe files as YAML: line numbers are kept, duplicate keys are errors, and 3e-4 is a number."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from edgekit.errors import InputError

KeyLines = Mapping[tuple[str, ...], int]
"""The line (counted from 1) of each key, by the names on its path."""


def parse_yaml(text: str, origin: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The document and the line of every key; raises :class:`InputError` for invalid YAML and duplicate keys."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            document = loader.construct_document(node) if node is not None else {}
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{origin}:{mark.line + 1}" if mark is not None else origin
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"invalid YAML: {problem}", where=line) from None
    if not isinstance(document, dict):
        raise InputError("a recipe must be a mapping of sections (data, model, train, ...)", where=origin)
    return document, _key_lines(node)


def parse_value(text: str, what: str) -> object:
    """One YAML value, such as the right-hand side of ``--set KEY=VALUE``; ``what`` names it in the error."""
    try:
        value: object = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader subclass
    except yaml.YAMLError as error:
        raise InputError(f"{what} is not valid YAML: {error}") from None
    return value


class _Loader(yaml.SafeLoader):
    """SafeLoader that rejects duplicate keys and reads 3e-4 as a number (YAML 1.2)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


def _construct_scalar(loader: _Loader, node: yaml.ScalarNode) -> float | str:
    text = str(loader.construct_scalar(node))
    try:
        return float(text) if node.style is None and "e" in text.lower() else text
    except ValueError:
        return text


_Loader.add_constructor("tag:yaml.org,2002:str", _construct_scalar)


def _key_lines(node: yaml.Node | None, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*prefix, str(key.value))
            lines[path] = key.start_mark.line + 1
            lines |= _key_lines(value, path)
    return lines
