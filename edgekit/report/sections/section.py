"""A section of a report: a view of the report, a template for the page, and an optional Markdown form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from markupsafe import Markup

from edgekit.report.model.report import Report

V = TypeVar("V")


@dataclass(frozen=True)
class Section(Generic[V]):
    """One section of the page and of ``report.md``.

    ``view`` gives what the section shows, or None if the report has no such section. The template is
    ``<anchor>.html.jinja`` in this package; it gets ``report`` and ``view``. Without ``markdown`` the section is on
    the page only.
    """

    anchor: str
    title: str
    view: Callable[[Report], V | None]
    markdown: Callable[[Report, V], Iterable[str]] | None = None

    @property
    def template(self) -> str:
        return f"{self.anchor}.html.jinja"


AnySection = Section[Any]


@dataclass(frozen=True)
class Plot:
    """A figure in two widths; the page shows the one that fits."""

    caption: str
    wide: Markup
    narrow: Markup


def whole_report(report: Report) -> Report:
    """The view of a section that shows a part of the report as it is."""
    return report


def number_heading(report: Report) -> str:
    """Heading of the numbers of single files, which are not those of the verdict where there are means over seeds."""
    return "File" if report.means_over_seeds else "#"
