"""The report as one HTML file that loads nothing from elsewhere. Everything from data is escaped by the templates."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from importlib import resources
from types import SimpleNamespace

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgekit.render import numbers, text
from edgekit.render.recommendations import advice_title
from edgekit.report.model.report import Report
from edgekit.report.render.folding import Folding
from edgekit.report.sections.section import AnySection
from edgekit.report.sections.table import SECTIONS


@dataclass(frozen=True)
class Digits:
    """Decimals of a quantity that appears in several tables."""

    size: int
    latency: int


@dataclass(frozen=True)
class ShownSection:
    """A section as HTML."""

    anchor: str
    title: str
    html: Markup


def page(report: Report) -> str:
    """The whole page."""
    package = resources.files("edgekit.report.render")
    script = package.joinpath("page.js").read_text(encoding="utf-8")
    folding = Folding()
    templates = _templates(report, folding)
    shown = [found for section in SECTIONS if (found := _shown(section, report, templates)) is not None]
    bodies, packed = folding.finish([section.html for section in shown])
    return templates.get_template("page.html.jinja").render(
        sections=[replace(section, html=html) for section, html in zip(shown, bodies)],
        packed=packed,
        style=Markup(package.joinpath("style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=_base64(hashlib.sha256(script.encode()).digest()),
        n_files=len({(file.run.place, file.export.key) for file in report.files}),
    )


def _templates(report: Report, folding: Folding) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("edgekit.report", "sections"), PackageLoader("edgekit.report", "render")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        advice_title=advice_title,
        report=report,
        w=SimpleNamespace(**vars(numbers), **{name: getattr(text, name) for name in WORDS}),
        digits=Digits(
            numbers.digits_for(file.export.size_bytes / 1e6 for file in report.files),
            numbers.digits_for(timing.p50 for file in report.files for timing in file.timings),
        ),
        folding=folding,
    )
    return environment


def _harmless(value: object) -> object:
    """What a template prints, with control characters and marks that reorder text as escapes; markup is our own."""
    return text.visible(value, "\n") if isinstance(value, str) and not isinstance(value, Markup) else value


WORDS = ("plural", "listing", "capitalized")
"""What templates use of :mod:`edgekit.render.text`, beside all of :mod:`edgekit.render.numbers`."""


def _shown(section: AnySection, report: Report, templates: Environment) -> ShownSection | None:
    view = section.view(report)
    if view is None:
        return None
    html = templates.get_template(section.template).render(view=view)
    return ShownSection(section.anchor, section.title, Markup(html))  # noqa: S704 - escaped by the template


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
