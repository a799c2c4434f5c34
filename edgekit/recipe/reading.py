"""From a YAML file, the name of a shipped recipe or dotted settings to a checked recipe.

Every error names the key, its line and the valid choices.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from edgekit.errors import InputError
from edgekit.recipe.recipe import Recipe
from edgekit.recipe.train import LAYER_CHOICES
from edgekit.recipe.yaml_text import MAX_CHARACTERS, KeyLines, parse_value, parse_yaml
from edgekit.support.os_errors import reason_of
from edgekit.support.suggestions import did_you_mean, unknown_name_error

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CHANGEABLE = ("description", "reported", "claims", "constraints", "gates", "robustness", "choose")
"""Sections that affect neither the trained network nor the exported files, nor how they are measured."""


MOST_SHOWN = 100
"""How many characters of a key or a value an error quotes."""

MOST_SECTIONS = 10
"""How deep a dotted key may go."""

MOST_PROBLEMS = 10
"""How many problems of one recipe are listed."""


def load_recipe(source: str | Path | None, settings: Mapping[str, object] | None = None) -> Recipe:
    """Read a recipe file, or a shipped recipe by its name, and apply dotted ``settings``.

    ``settings`` maps keys such as ``train.batch_size`` to values. Raises :class:`InputError` that names the key,
    the line and the valid choices.
    """
    text, origin = _read(source)
    document, lines = parse_yaml(text, origin)
    apply_settings(document, settings or {})
    return validate(document, origin, lines)


def parse_setting(text: str) -> tuple[str, object]:
    """Key and YAML value of a setting such as ``train.batch_size=16``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(
            f"--set expects KEY=VALUE, not {clipped(text)!r}", hint="for example --set train.batch_size=16"
        )
    return key.strip(), parse_value(value, f"the value of --set {clipped(key.strip())}")


def apply_settings(document: dict[str, Any], settings: Mapping[str, object]) -> None:
    """Set every dotted key of ``settings`` in a recipe document.

    A setting that says which layers fine-tuning trains replaces the one that the document has.
    """
    choices = {f"train.fine_tuning.{choice}": choice for choice in LAYER_CHOICES}
    if any(settings.get(key) not in (None, False) for key in choices):
        section: object = document
        for name in ("train", "fine_tuning"):
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):
            for key in choices.keys() - settings.keys():
                section.pop(choices[key], None)
    for key, value in settings.items():
        assign(document, key, value)


def assign(document: dict[str, Any], key: str, value: object) -> None:
    """Set the dotted ``key`` in a nested dictionary, creating sections as needed."""
    *sections, last = key.split(".")
    if not all((*sections, last)) or len(sections) > MOST_SECTIONS:
        raise InputError(f"{clipped(key)} is not a setting", hint="write its sections with dots: train.batch_size=16")
    for name in sections:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InputError(f"{clipped(key)}: {clipped(name)} is a value, not a section")
        document = inner
    document[last] = value


def validate(document: Mapping[str, object], origin: str, lines: KeyLines | None = None) -> Recipe:
    """Turn a plain document into a :class:`Recipe`; raises one :class:`InputError` that lists all problems."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        count = error.error_count()
        problems = [_explain(e, lines or {}) for e in error.errors(include_url=False)[:MOST_PROBLEMS]]
        if count > len(problems):
            problems.append(f"and {count - len(problems)} more")
        noun = "problem" if count == 1 else "problems"
        raise InputError(
            f"the recipe has {count} {noun}:\n" + "\n".join(f"  - {p}" for p in problems), where=origin
        ) from None


def differences(a: object, b: object, prefix: str = "") -> Iterator[str]:
    """Dotted keys in which two recipe documents differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in a.keys() | b.keys():
            yield from differences(a.get(key), b.get(key), f"{prefix}.{key}" if prefix else key)
    elif a != b:
        yield prefix


def other_work(a: object, b: object) -> list[str]:
    """Dotted keys in which two recipe documents ask for different training or measurements.

    Sections that only the report reads, and the choice of corrupted images, do not count: a finished study may be
    given new claims and other corruptions.
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
    if _exists(path):
        return _text_of(path), str(path)
    recipes = shipped_recipes()
    if str(source) not in recipes and _exists(path, Path.is_dir):
        raise InputError(
            "this is a folder, not a recipe file",
            where=str(path),
            hint=f"to train on the images in it: edgekit train --data {shlex.quote(str(path))}",
        )
    if str(source) in recipes:
        return recipes[str(source)], f"{source} (shipped recipe)"
    if path.suffix or len(path.parts) != 1:
        raise InputError(
            "this recipe file does not exist",
            where=clipped(str(source)),
            hint=f"give the path of a YAML file, or the name of a shipped recipe: {', '.join(recipes)}",
        )
    raise unknown_name_error("recipe", clipped(str(source)), recipes)


def _exists(path: Path, kind: Callable[[Path], bool] = Path.is_file) -> bool:
    """Whether there is a file, or a folder; a name that the system does not accept is none."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def _text_of(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return stream.read(MAX_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise InputError("this recipe is not a UTF-8 text file", where=str(path)) from None
    except OSError as error:
        raise InputError(f"this recipe cannot be read: {reason_of(error)}", where=str(path)) from None


def _explain(error: ErrorDetails, lines: KeyLines) -> str:
    location = tuple(str(part) for part in error["loc"])
    key = ".".join(location)
    line = next((lines[location[:n]] for n in range(len(location), 0, -1) if location[:n] in lines), None)
    key = clipped(key)
    at = f"line {line}, {key}" if line is not None else key
    if error["type"] == "extra_forbidden":
        choices = _keys_of(location[:-1])
        question = did_you_mean(location[-1][:MOST_SHOWN], choices)
        return f"{at}: unknown key{f'; {question}' if question else ''} (keys here: {', '.join(choices)})"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if error["type"] == "value_error":
        return f"{at}: {message}" if at else message
    return f"{at}: {message}, not {clipped(repr(error['input']))}"


def clipped(text: str) -> str:
    """``text``, or its beginning if it is long: errors quote what a user wrote."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _keys_of(location: tuple[str, ...]) -> list[str]:
    """The keys that the section at ``location`` has."""
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
