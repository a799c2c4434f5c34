"""Reading the Markdown files of the repository as GitHub and MkDocs do, as far as the tests need."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

GENERATED = tuple(f"docs/reference/{page}.md" for page in ("cli", "recipe", "documents", "python-api"))
"""Pages made of help texts and docstrings, whose words are tested where they are written."""

_RESULTS = "benchmarks/results/"
"""Reports that edgekit wrote."""


def names() -> list[str]:
    """Every Markdown file of the repository below its root, also those that are not committed yet."""
    folders = ("docs", "benchmarks", "tools", "tests", "recipes", ".github", ".ci")
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def hand_written() -> list[str]:
    """The files that people wrote for readers."""
    skipped = (*GENERATED, "CHANGELOG.md")
    return [name for name in names() if name not in skipped and not name.startswith(_RESULTS)]


@dataclass(frozen=True)
class Line:
    number: int
    text: str


def prose_lines(text: str) -> list[Line]:
    """The lines outside fenced code and HTML comments, numbered from 1."""
    lines, fence, comment = [], None, False
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        if fence:
            if mark and mark.group(1).startswith(fence) and not line.strip().strip("`~"):
                fence = None
        elif mark:
            fence = mark.group(1)
        elif comment or line.lstrip().startswith("<!--"):
            comment = "-->" not in line
        else:
            lines.append(Line(number, line))
    if fence:
        raise AssertionError("a code block is not closed")
    return lines


def cells(row: str) -> list[str]:
    """The cells of a table row; ``|`` inside code counts unless it is escaped, as on GitHub."""
    inner = row.strip()
    assert inner.startswith("|"), f"a table row has to begin with |: {row}"
    assert re.search(r"(?<!\\)\|$", inner), f"a table row has to end with |: {row}"
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner[1:-1])]


def tables(text: str) -> list[list[Line]]:
    """Stretches of lines that begin with ``|``."""
    found: list[list[Line]] = []
    for line in prose_lines(text):
        if not line.text.lstrip().startswith("|"):
            continue
        if found and found[-1][-1].number == line.number - 1:
            found[-1].append(line)
        else:
            found.append([line])
    return found


def links(text: str) -> list[tuple[int, str]]:
    """Line and address of every link and picture, outside code."""
    joined = "\n".join(_padded(text))
    joined = re.sub(r"`[^`\n]*`", lambda m: " " * len(m.group()), joined)
    found = [(m.start(), m.group(1)) for m in re.finditer(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", joined)]
    found += [(m.start(), m.group(1)) for m in re.finditer(r"^\[[^\]]+\]:\s*(\S+)", joined, flags=re.MULTILINE)]
    found += [(m.start(), m.group(1)) for m in re.finditer(r"<img [^>]*src=\"([^\"]+)\"", joined)]
    return [(joined.count("\n", 0, start) + 1, address) for start, address in found]


def _padded(text: str) -> list[str]:
    kept = {line.number: line.text for line in prose_lines(text)}
    return [kept.get(number, "") for number in range(1, len(text.splitlines()) + 1)]


def anchors(text: str) -> set[str]:
    """The anchors of a file's headings that are the same on GitHub and on the site."""
    github: dict[str, int] = {}
    site: dict[str, int] = {}
    first, second = set(), set()
    for line in prose_lines(text):
        if match := re.match(r"#{1,6}\s+(.*?)\s*#*$", line.text):
            heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1))
            heading = re.sub(r"(?<!\\)[`*]|\\(?=[<>\[\]*_])", "", heading)
            first.add(_numbered(github_slug(heading), github, "-"))
            second.add(_numbered(site_slug(heading), site, "_"))
    return first & second


def github_slug(heading: str) -> str:
    kept = "".join(c for c in heading.strip().lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def site_slug(heading: str) -> str:
    """As Python-Markdown's ``toc`` makes it."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def _numbered(slug: str, seen: dict[str, int], joint: str) -> str:
    seen[slug] = seen.get(slug, -1) + 1
    return f"{slug}{joint}{seen[slug]}" if seen[slug] else slug


def tracked(path: str) -> bool:
    """Whether git has the file or would take it; True where this is not a checkout."""
    command = ["git", "-C", str(ROOT), "check-ignore", "--quiet", path]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0
