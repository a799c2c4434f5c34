"""The picture of the architecture page: stages, and the files that they leave for each other."""

from __future__ import annotations

from html import escape

WIDTH, HEIGHT = 980, 330
STAGE, FILES = ("#3f51b5", "#ffffff", "#3f51b5"), ("#eef1fb", "#1f2a5a", "#9fa8da")
"""Fill, text and border colours of the two kinds of boxes."""

STAGES = (("edgekit train", 190), ("edgekit export", 390), ("edgekit bench", 590), ("edgekit report", 790))
DOCUMENTS = (
    ("images", "recipe.yaml", 10),
    ("run folder", "model.keras, run.json", 210),
    ("exported files", "model.tflite, export.json", 410),
    ("measurements", "bench/TARGET/*.json", 610),
    ("report", "report.html, report.json", 810),
)


def picture() -> str:
    """The SVG file."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="edgekit train, export, bench and report exchange files in a run folder" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#5c6380"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
        _text(20, 34, "Stages: each reads files and writes files", 15, "#1f2a5a", "start", bold=True),
        _text(20, 316, "Files: resume, copy or inspect them at any step", 15, "#1f2a5a", "start", bold=True),
    ]
    for name, x in STAGES:
        parts.append(_box(x - 80, 60, 160, 52, STAGE, name))
    for title, detail, x in DOCUMENTS:
        parts.append(_box(x, 200, 160, 66, FILES, title, detail))
    for (_, stage_x), (_, _, source_x), (_, _, result_x) in zip(STAGES, DOCUMENTS, DOCUMENTS[1:], strict=False):
        parts.append(_arrow(source_x + 110, 200, stage_x - 30, 114))
        parts.append(_arrow(stage_x + 30, 112, result_x + 50, 198))
    parts.append(_text(590, 140, "on this machine", 12, "#5c6380"))
    parts.append(_text(590, 156, "or a target (SSH)", 12, "#5c6380"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(x: int, y: int, width: int, height: int, colours: tuple[str, str, str], title: str, detail: str = "") -> str:
    fill, ink, border = colours
    middle = x + width // 2
    lines = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{border}"/>',
        _text(middle, y + (28 if detail else height // 2 + 6), title, 16, ink, bold=True),
    ]
    if detail:
        lines.append(_text(middle, y + 49, detail, 11.5, ink))
    return "\n".join(lines)


def _text(x: int, y: int, text: str, size: float, colour: str, anchor: str = "middle", *, bold: bool = False) -> str:
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"' + (' font-weight="600"' if bold else "")
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'


def _arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#5c6380" stroke-width="1.6" marker-end="url(#arrow)"/>'
    )
