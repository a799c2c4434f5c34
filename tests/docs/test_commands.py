"""The commands, recipe keys and paths that the documentation names exist."""

from __future__ import annotations

import itertools
import re
import shlex

import pytest
import yaml
from docgen import cli_page, models
from markdown_files import ROOT, hand_written, names, prose_lines

VERBS = dict(cli_page.verbs())


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """File and text of every ``edgekit`` command in a code block."""
    found = []
    for name in names():
        for block in blocks(name, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    command = re.sub(r"^\s*(\w+=\S+\s+)*", "", part)
                    if command.startswith("edgekit "):
                        found.append((name, command))
    return list(dict.fromkeys(found))


def parsed(command: str) -> tuple[str, list[str]]:
    words = shlex.split(command, comments=True)
    for length in (3, 2):
        if (verb := " ".join(words[:length])) in VERBS:
            return verb, words[length:]
    raise AssertionError(f"no such verb: {command}")


@pytest.mark.parametrize(("name", "command"), commands())
def test_commands_use_verbs_and_options_that_exist(name: str, command: str) -> None:
    verb, words = parsed(command)
    options = {option for parameter in VERBS[verb].params for option in parameter.opts} | {"--help", "-h"}
    used = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert set(used) <= options, f"{name}: {verb} has no option {', '.join(set(used) - options)}: {command}"


def recipe_keys() -> set[str]:
    from edgekit.recipe import Recipe

    keys: set[str] = set()

    def collect(path: str, model: type) -> None:
        for key, field in model.model_fields.items():  # type: ignore[attr-defined]
            keys.add(path + key)
            for nested in models.nested_models(field.annotation):
                collect(f"{path}{key}.", nested)

    collect("", Recipe)
    return keys


@pytest.mark.parametrize(("name", "command"), [c for c in commands() if "--set" in c[1]])
def test_settings_are_keys_of_the_recipe(name: str, command: str) -> None:
    words = parsed(command)[1]
    for before, word in itertools.pairwise(words):
        if before == "--set":
            assert word.split("=")[0] in recipe_keys(), f"{name}: the recipe has no key {word.split('=')[0]}"


@pytest.mark.parametrize("name", [name for name in names() if blocks(name, "yaml")])
def test_pieces_of_recipes_have_keys_that_exist(name: str) -> None:
    for block in blocks(name, "yaml"):
        keys = recipe_keys()
        for path in _paths("", yaml.safe_load(block)):
            free = re.match(r"compare\.(arms|overrides)\.", path)
            assert free or path in keys, f"{name}: the recipe has no key {path}"


def _paths(path: str, value: object) -> list[str]:
    if isinstance(value, dict):
        return [p for key, nested in value.items() for p in [f"{path}{key}", *_paths(f"{path}{key}.", nested)]]
    if isinstance(value, list):
        return [p for nested in value for p in _paths(path, nested)]
    return []


PATH = re.compile(r"`((?:edgekit|tools|tests|benchmarks|recipes)/[\w./-]*\w/?)`")


@pytest.mark.parametrize("name", hand_written())
def test_files_of_the_repository_that_are_named_exist(name: str) -> None:
    for line in prose_lines((ROOT / name).read_text(encoding="utf-8")):
        for path in PATH.findall(line.text):
            assert (ROOT / path).exists(), f"{name}:{line.number}: there is no {path}"


def test_the_code_layout_names_the_packages_that_there_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^  (\w+)/ ", text, flags=re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "edgekit").glob("*/__init__.py")}
    assert listed == packages
