"""The picture of the architecture page: stages, and the files that they leave for each other."""

from __future__ import annotations

from html import escape

WIDTH, HEIGHT = 900, 330
STAGE, FILES = ("#3f51b5", "#ffffff", "#3f51b5"), ("#eef1fb", "#1f2a5a", "#9fa8da")
"""Fill, text and border colours of the two kinds of boxes."""

STAGES = (
    ("edgekit train", "", 180),
    ("edgekit export", "", 360),
    ("edgekit bench", "here or on a target", 540),
    ("edgekit report", "", 720),
)
DOCUMENTS = (
    ("images", "and recipe.yaml", 90),
    ("run folder", "model.keras", 270),
    ("exported files", "model.tflite", 450),
    ("measurements", "raw samples", 630),
    ("report", "report.html", 810),
)
"""Title, second line, and the middle of each box."""


def picture() -> str:
    """The SVG file."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="edgekit train, export, bench and report exchange files in a run folder" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#5c6380"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
        _text(20, 34, "Stages: each reads files and writes files", 16, "#1f2a5a", "start", bold=True),
        _text(20, 316, "Files: resume, copy or inspect them at any step", 16, "#1f2a5a", "start", bold=True),
    ]
    for title, detail, x in STAGES:
        parts.append(_box(x, 56, 62, STAGE, title, detail))
    for title, detail, x in DOCUMENTS:
        parts.append(_box(x, 200, 66, FILES, title, detail))
    for (_, _, stage), (_, _, source), (_, _, result) in zip(STAGES, DOCUMENTS, DOCUMENTS[1:], strict=False):
        parts.append(_arrow(source + 20, 200, stage - 30, 120))
        parts.append(_arrow(stage + 30, 118, result - 20, 198))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(middle: int, y: int, height: int, colours: tuple[str, str, str], title: str, detail: str) -> str:
    fill, ink, border = colours
    width = 160
    lines = [
        f'<rect x="{middle - width // 2}" y="{y}" width="{width}" height="{height}" rx="8" '
        f'fill="{fill}" stroke="{border}"/>',
        _text(middle, y + (28 if detail else height // 2 + 6), title, 17, ink, bold=True),
    ]
    if detail:
        lines.append(_text(middle, y + 49, detail, 14, ink))
    return "\n".join(lines)


def _text(x: int, y: int, text: str, size: float, colour: str, anchor: str = "middle", *, bold: bool = False) -> str:
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"' + (' font-weight="600"' if bold else "")
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'


def _arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#5c6380" stroke-width="1.6" marker-end="url(#arrow)"/>'
    )
