"""The generated reference pages are those that the code gives now, and they are complete."""

from __future__ import annotations

import sys
from typing import Literal

import docgen
import pytest
from docgen import api_page, cli_page, documents_page, models, recipe_page
from docgen.markdown import COMMAND, prose
from markdown_files import GENERATED, ROOT, names
from pydantic import BaseModel, Field

VERBS = [name for name, _ in cli_page.verbs()]


def test_committed_pages_are_up_to_date() -> None:
    stale = docgen.stale()
    assert not stale, f"out of date: {', '.join(stale)}; run `{COMMAND}` and commit the result"


def test_the_generated_pages_are_the_ones_the_other_tests_know() -> None:
    assert {name for name in docgen.pages() if name.endswith(".md")} == set(GENERATED)
    assert all("Do not edit" in (ROOT / name).read_text(encoding="utf-8").splitlines()[0] for name in GENERATED)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_a_page_that_people_wrote(verb: str) -> None:
    written = [n for n in names() if n not in GENERATED and (n.startswith("docs/") or n == "README.md")]
    assert any(verb in (ROOT / name).read_text(encoding="utf-8") for name in written)


@pytest.mark.parametrize(("verb", "command"), list(cli_page.verbs()), ids=VERBS)
def test_every_option_and_argument_of_a_verb_is_in_the_reference(verb: str, command: object) -> None:
    section = cli_page.page().split(f"\n### {verb}\n")[1].split("\n### ")[0]
    for parameter in command.params:  # type: ignore[attr-defined]
        if getattr(parameter, "hidden", False) or set(parameter.opts) & set(cli_page.COMMON):
            continue
        if parameter.param_type_name == "option":
            assert all(f"`{option}`" in section for option in parameter.opts), parameter.name
        assert prose(cli_page._extras(parameter.help)[0])[:20] in section.replace("\\|", "|"), parameter.name
    assert "```bash\nedgekit " in section


@pytest.mark.parametrize(
    ("help_text", "expected"),
    [
        ("Sum.\n\nExample: edgekit a b", ("Sum.", "edgekit a b")),
        ("Sum.\n\nExample: edgekit a\nb", ("Sum.", "edgekit a b")),
        ("Sum.\n\n\b\nExamples:\n  edgekit a\n  edgekit b", ("Sum.", "edgekit a\nedgekit b")),
        ("Sum.\n\n\b\n  kept\n  lines", ("Sum.\n\n```text\n  kept\n  lines\n```", "")),
    ],
)
def test_help_texts_are_taken_apart(help_text: str, expected: tuple[str, str]) -> None:
    assert cli_page._help(help_text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N.  [default: 1; x>=0]", ("N.", ["default: 1", "x>=0"])),
        ("Path. [required]", ("Path.", ["required"])),
        ("Range [0, 1]", ("Range [0, 1]", [])),
        ("Side in pixels (default: 224)", ("Side in pixels", ["default: 224"])),
    ],
)
def test_defaults_and_limits_are_read_from_the_help(text: str, expected: tuple[str, list[str]]) -> None:
    assert cli_page._extras(text) == expected


def test_every_key_of_the_recipe_is_in_the_reference() -> None:
    from edgekit.recipe import Recipe

    page = recipe_page.page()
    for path, model in models.walk("", Recipe):
        section = page.split(f"\n## {path or 'Top level'}\n")[1].split("\n## ")[0]
        assert all(f"| `{name}` |" in section for name in model.model_fields)


class Inner(BaseModel):
    """An inner object. More about it."""

    share: float = Field(ge=0, lt=1)
    """Between nothing
    and all."""


class Outer(BaseModel):
    """A document."""

    inner: Inner
    kind: Literal["a", "b"] = "a"
    many: list[Inner] = []
    maybe: int | None = Field(None, description="Described.")


def test_documents_get_a_section_and_a_schema_each() -> None:
    built = documents_page.pages({"Bench result": Outer})
    page, schema = built[documents_page.PAGE], built["docs/reference/schemas/bench-result.schema.json"]
    assert "## Bench result\n\nA document." in page
    assert "| `inner` | [Inner](#inner) | An inner object. |" in page
    assert "| `kind` | one of `a`, `b` |  |" in page
    assert "| `maybe` | integer or `null` | Described. |" in page
    assert "### Inner\n\nAn inner object. More about it." in page
    assert "| `share` | number ≥ 0, < 1 | Between nothing and all. |" in page
    assert '"title": "Outer"' in schema


def test_without_documents_there_is_no_schema() -> None:
    assert list(documents_page.pages({})) == [documents_page.PAGE]


def _train(recipe: str, *, data: str | None = None, **settings: int) -> Outer:
    """Train one model.

    Args:
        recipe: A recipe file, or
            the name of a shipped one.
        data: Image folder.

    Returns:
        The finished run.

    Raises:
        InputError: The recipe is wrong.

    Example::

        edgekit.train("quickstart")
    """
    raise NotImplementedError(recipe, data, settings)


def test_the_api_page_has_signatures_and_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgekit

    monkeypatch.setattr(edgekit, "__all__", ["train", "Outer", "Failure", "__version__"], raising=False)
    monkeypatch.setattr(edgekit, "train", _train, raising=False)
    monkeypatch.setattr(edgekit, "Outer", Outer, raising=False)
    monkeypatch.setattr(edgekit, "Failure", type("Failure", (ValueError,), {"__doc__": "It failed."}), raising=False)
    page = api_page.page()
    signature = "train(recipe: str, *, data: str | None = None, **settings: int) -> Outer"
    assert f"### train\n\n```python\n{signature}\n```" in page
    assert "- `recipe`: A recipe file, or the name of a shipped one." in page
    assert "**Raises**\n\n- `InputError`: The recipe is wrong." in page
    assert '```python\nedgekit.train("quickstart")\n```' in page
    assert "class Failure(ValueError)" in page
    assert "| `share`" not in page
    assert "| `kind` | one of `a`, `b` |" in page


def test_the_reference_does_not_load_frameworks() -> None:
    import subprocess

    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'tools' / 'docs')!r}, {str(ROOT)!r}]; import docgen; docgen.stale();"
        "print([m for m in sys.modules if m in {'tensorflow', 'keras', 'mkdocs'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
