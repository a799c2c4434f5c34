"""From a YAML file, a shipped name or dotted settings to a checked recipe; every error names key, line and choices."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from edgekit.errors import InputError
from edgekit.recipe.recipe import Recipe
from edgekit.recipe.yaml_text import parse_value, parse_yaml

CHANGEABLE = ("description", "reported", "claims", "constraints", "robustness")
"""Sections that change no trained network and no exported file, nor how they are measured."""


def load_recipe(source: str | Path | None, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe file, or a shipped one by its name, and apply dotted ``settings`` on top.

    ``settings`` maps keys such as ``train.batch_size`` to values. Raises :class:`InputError` that names the key,
    the line and the valid choices.
    """
    text, origin = _read(source)
    document, lines = parse_yaml(text, origin)
    for key, value in (settings or {}).items():
        assign(document, key, value)
    return validate(document, origin, lines)


def parse_setting(text: str) -> tuple[str, Any]:
    """``train.batch_size=16`` as key and YAML value."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set takes key=value, not {text!r}", hint="for example --set train.batch_size=16")
    return key.strip(), parse_value(value, f"the value of --set {key.strip()}")


def assign(document: dict[str, Any], key: str, value: Any) -> None:
    """Set the dotted ``key`` in a nested dictionary, making sections on the way."""
    *sections, last = key.split(".")
    for name in sections:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InputError(f"{key}: {name} holds a value, not a section")
        document = inner
    document[last] = value


def validate(document: dict[str, Any], origin: str, lines: Mapping[tuple[str, ...], int] | None = None) -> Recipe:
    """Turn a plain document into a :class:`Recipe`, all errors collected into one :class:`InputError`."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        problems = [_explain(e, lines or {}) for e in error.errors()]
        noun = "problem" if len(problems) == 1 else "problems"
        raise InputError(
            f"the recipe has {len(problems)} {noun}:\n" + "\n".join(f"  - {p}" for p in problems), where=origin
        ) from None


def differences(a: Any, b: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys in which two recipe documents differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in a.keys() | b.keys():
            yield from differences(a.get(key), b.get(key), f"{prefix}.{key}" if prefix else key)
    elif a != b:
        yield prefix


def other_work(a: Any, b: Any) -> list[str]:
    """Dotted keys in which two recipe documents ask for other training or measuring.

    What only the report reads, and which corrupted images are shown, is left out: a finished study may be given new
    claims and other images.
    """
    return sorted(key for key in differences(a, b) if key.split(".")[0] not in CHANGEABLE)


def shipped_recipes() -> dict[str, str]:
    """Name and text of every recipe in the package."""
    folder = resources.files("edgekit") / "recipes"
    if not folder.is_dir():  # a source checkout: the wheel carries the top-level folder inside the package
        folder = Path(__file__).parent.parent.parent / "recipes"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def _read(source: str | Path | None) -> tuple[str, str]:
    if source is None:
        return "", "command line"
    path = Path(source)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except UnicodeDecodeError:
            raise InputError("a recipe is a text file in UTF-8", where=str(path)) from None
    recipes = shipped_recipes()
    if str(source) in recipes:
        return recipes[str(source)], f"{source} (shipped recipe)"
    raise InputError(
        f"there is no recipe file or shipped recipe called {str(source)!r}",
        hint=f"give the path of a YAML file, or one of: {', '.join(recipes)}",
    )


def _explain(error: Any, lines: Mapping[tuple[str, ...], int]) -> str:
    location = tuple(str(part) for part in error["loc"])
    key = ".".join(location)
    line = next((lines[location[:n]] for n in range(len(location), 0, -1) if location[:n] in lines), None)
    at = f"line {line}, {key}" if line is not None else key
    if error["type"] == "extra_forbidden":
        choices = _keys_of(location[:-1])
        close = difflib.get_close_matches(location[-1], choices, n=1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        return f"{at}: unknown key; {guess}Keys here: {', '.join(choices)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if error["type"] == "value_error":
        return f"{at}: {message}" if at else message
    return f"{at}: {message}, not {error['input']!r}"


def _keys_of(location: tuple[str, ...]) -> list[str]:
    section: type[BaseModel] = Recipe
    for name in location:
        field = section.model_fields.get(name)
        if field is None:
            continue  # an index of a list
        candidates = [field.annotation, *get_args(field.annotation)]
        inner = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if inner is None:
            return []
        section = inner
    return list(section.model_fields)
