"""Generators for the reference pages of the documentation.

Each module builds one page as a string, from the code alone. ``pages()`` lists all of them; ``reference.py`` writes
them and ``tests/docs`` compares them with the committed files.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The root of the repository."""


def pages() -> dict[str, str]:
    """Every generated file: its path below the root of the repository, and its content."""
    from docgen import api_page, architecture_picture, cli_page, documents_page, recipe_page

    return {
        "docs/reference/cli.md": cli_page.page(),
        "docs/reference/recipe.md": recipe_page.page(),
        "docs/reference/python-api.md": api_page.page(),
        "docs/images/architecture.svg": architecture_picture.picture(),
        **documents_page.pages(),
    }


def stale(built: dict[str, str] | None = None) -> list[str]:
    """The generated files that are missing from the repository or differ from what the code gives now."""
    built = pages() if built is None else built
    return [name for name, text in built.items() if not _is(ROOT / name, text)] + _left_over(built)


def write() -> list[str]:
    """Write every generated file that is stale and remove the ones no longer built. Returns the names that changed."""
    built = pages()
    changed = stale(built)
    for name in changed:
        path = ROOT / name
        if name not in built:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(built[name], encoding="utf-8")
    return changed


def _left_over(built: dict[str, str]) -> list[str]:
    folder = ROOT / "docs" / "reference" / "schemas"
    names = [path.relative_to(ROOT).as_posix() for path in sorted(folder.glob("*.json"))]
    return [name for name in names if name not in built]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
