"""Matplotlib figures as inline SVG: text stays text, ids are reproducible, colours come from the page.

Colours are drawn as placeholders and replaced by CSS variables, so that one figure serves the light page, the dark
page and the printer.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from markupsafe import Markup

from edgekit.render.text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, RULE, PAPER = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#0a0101", "#0a0202", "#0a0303", "#0a0404", "#0a0505", "#0a0606")
"""Placeholders of the series colours; the page gives each a value with enough contrast in light and in dark."""

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    **{placeholder: f"var(--series-{i})" for i, placeholder in enumerate(SERIES, start=1)},
}

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.minor.visible": False,
    "text.color": INK,
    "text.parse_math": False,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}


@contextmanager
def canvas(width: int, height: int) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` CSS pixels at its natural size, one unit of a font size being one pixel."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The user's matplotlibrc must not change the report, except for the backend.
    settings: Any = {**cast("dict[str, Any]", mpl.rcParamsDefault), **_STYLE, "backend": mpl.rcParams["backend"]}
    with mpl.rc_context(settings):
        yield Figure(figsize=(width / 72, height / 72), layout="constrained")


def inline_svg(figure: Figure, name: str, title: str, titles: Mapping[str, str] | None = None) -> Markup:
    """``figure`` as an ``<svg>`` element for an HTML page.

    ``name`` is unique on the page and becomes the prefix of every id. ``title`` is what a screen reader says.
    ``titles`` maps the gid of an artist to the text shown when the pointer rests on it. Call it inside the
    :func:`canvas` block.
    """
    import matplotlib as mpl

    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Its rule would hold for every SVG of the page; the page's own style sheet says the same.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = _head(text, title)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', text)
    for gid, tip in (titles or {}).items():
        opening = f'<g id="{name}-{gid}">'
        text = text.replace(opening, f"{opening}<title>{html.escape(visible(tip))}</title>", 1)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    return Markup(text.strip())  # noqa: S704 - written by Matplotlib, which escapes text, and escaped above


def _head(text: str, title: str) -> str:
    """Reduce the ``<svg>`` tag to what a page needs: no size, so that the page decides; a name for screen readers."""
    end = text.index(">")
    box = re.search(r'viewBox="([^"]+)"', text[:end])
    assert box is not None
    label = html.escape(visible(title), quote=True)
    return f'<svg viewBox="{box.group(1)}" role="img" aria-label="{label}">{text[end + 1 :]}'
