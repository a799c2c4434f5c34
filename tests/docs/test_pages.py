"""The Markdown files of the repository: tables, links, anchors, words."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import markdown_files
import pytest
import yaml
from markdown_files import ROOT, anchors, cells, links, names, prose_lines, tables

ALL = names()
WRITTEN = markdown_files.hand_written()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALL)
def test_tables_have_a_header_and_the_same_number_of_cells_in_every_row(name: str) -> None:
    for table in tables(text_of(name)):
        where = f"{name}:{table[0].number}"
        assert len(table) > 2, f"{where}: a table needs a header, a separator and a row"
        header, separator, *rows = (cells(line.text) for line in table)
        assert all(re.fullmatch(r":?-{3,}:?", cell) for cell in separator), f"{where}: no separator under the header"
        for line, row in zip(table[1:], [separator, *rows]):
            assert len(row) == len(header), f"{name}:{line.number}: {len(row)} cells under a header of {len(header)}"


@pytest.mark.parametrize("name", ALL)
def test_tables_stand_apart_from_the_text_around_them(name: str) -> None:
    lines = text_of(name).splitlines()
    for table in tables(text_of(name)):
        before, after = table[0].number - 2, table[-1].number
        assert before < 0 or not lines[before].strip(), f"{name}:{table[0].number}: a blank line is missing"
        assert after >= len(lines) or not lines[after].strip(), f"{name}:{after}: a blank line is missing"


@pytest.mark.parametrize("name", ALL)
def test_links_and_anchors_resolve(name: str) -> None:
    for number, address in links(text_of(name)):
        where = f"{name}:{number}: {address}"
        parts = urlparse(address)
        if parts.scheme:
            assert parts.scheme in {"https", "http", "mailto"}, where
            continue
        assert not address.startswith("/"), f"{where}: give a relative path"
        path = unquote(parts.path)
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{where}: no such file"
        assert target.resolve().is_relative_to(ROOT.resolve()), f"{where}: outside the repository"
        assert markdown_files.tracked(str(target)), f"{where}: git ignores this file"
        if parts.fragment:
            found = anchors(target.read_text(encoding="utf-8"))
            assert parts.fragment in found, f"{where}: no such heading; there are {', '.join(sorted(found))}"


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("docs/")])
def test_pages_of_the_site_link_to_nothing_outside_of_it(name: str) -> None:
    docs = (ROOT / "docs").resolve()
    for number, address in links(text_of(name)):
        path = unquote(urlparse(address).path)
        if not urlparse(address).scheme and path:
            target = ((ROOT / name).parent / path).resolve()
            assert target.is_relative_to(docs), f"{name}:{number}: {address} is not on the site; write the path as code"


PLACEHOLDER = re.compile(r"<(this|your|the|my)[ -][^>]*>|\b(TODO|FIXME|TBD|XXX)\b|lorem ipsum|example\.invalid", re.I)
PRIVATE = re.compile(
    r"(index-url|find-links|extra-index)[ =]+\S+|https?://(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)"
    r"|https?://[^\s/)\"]*\.(internal|local|lan|corp|example)\b",
    re.I,
)


@pytest.mark.parametrize("name", ALL)
def test_no_placeholders_and_no_private_addresses(name: str) -> None:
    for number, line in enumerate(text_of(name).splitlines(), 1):
        assert not PLACEHOLDER.search(line), f"{name}:{number}: a placeholder: {line.strip()}"
        assert not PRIVATE.search(line), f"{name}:{number}: a private address or path: {line.strip()}"


WORDS = {
    r"\btwins?\b": "fp32 counterpart, duplicate image, or tf_keras copy",
    r"\bforeign (file|model)": "third-party model",
    r"\b(goes|go|gone|went) on\b": "resume, repeat, continue",
    r"\btrain(ed|ing|s)? on for\b|\btraining on for\b|\bfurther training\b": "QAT, pruning, clustering; compression",
    r"\bbrings? nothing\b": "no measurable benefit",
    r"\b(the|its|their|device's|model's) answers\b": "predictions",
    r"\bkind of (file|export)\b": "exported file, format, scheme",
    r"\bthe whole way\b": "the whole pipeline",
    r"\bstands? (with|in|beside|for others)\b": "is in, is beside",
    r"\b(is|are) told apart\b": "differ, can be separated",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_one_word_for_one_thing(name: str) -> None:
    for line in prose_lines(text_of(name)):
        plain = re.sub(r"`[^`]*`", "", line.text)
        for pattern, instead in WORDS.items():
            found = re.search(pattern, plain, re.I)
            assert not found, f"{name}:{line.number}: say {instead}, not {found and found.group()!r}"


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == set(_leaves(config["nav"]))


def _leaves(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    children = entry.values() if isinstance(entry, dict) else entry
    return [leaf for child in children for leaf in _leaves(child)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").iterdir()), ids=lambda path: path.name)
def test_pictures_are_small_and_used(picture: Path) -> None:
    assert picture.stat().st_size < 300_000
    assert any(f"images/{picture.name}" in text_of(name) for name in ALL)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("| a | b |\n|---|---|\n| 1 |\n", "1 cells under a header of 2"),
        ("| a | b |\n| 1 | 2 |\n| 3 | 4 |\n", "no separator"),
        ("| a |\n|---|\n| 1\n", "has to end with"),
        ("| a |\n|---|\n| 1 |\n\n| 2 |\n", "a table needs"),
    ],
)
def test_broken_tables_are_found(text: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__import__("test_pages"), "text_of", lambda _name: text)
    with pytest.raises(AssertionError, match=problem):
        test_tables_have_a_header_and_the_same_number_of_cells_in_every_row("x.md")


def test_anchors_are_those_of_github_and_of_the_site() -> None:
    found = anchors(
        "# Run it\n\n## train.mix\n\n## A / B\n\n## `edgekit data audit`\n\n```\n# no heading\n```\n## Run it\n"
    )
    assert found == {"run-it", "trainmix", "edgekit-data-audit"}
