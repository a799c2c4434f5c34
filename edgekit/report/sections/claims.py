"""The recipe's claims with their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgekit.documents.report_findings import ClaimPair, JudgedClaim
from edgekit.render.claims import claim_marks, more_text
from edgekit.render.markdown import table
from edgekit.render.numbers import NONE, points, signed, significant
from edgekit.render.text import plural
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section
from edgekit.stats.claims import REFUTED, SUPPORTED, UNDECIDED


@dataclass(frozen=True)
class ClaimsView:
    """The claims, and how their effects are written."""

    claims: list[JudgedClaim]

    @property
    def summary(self) -> str:
        """``2 supported, 0 refuted, 1 undecided``."""
        verdicts = [str(claim.verdict) for claim in self.claims]
        return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in (SUPPORTED, REFUTED, UNDECIDED))

    def number(self, unit: str) -> Callable[[float | None], str]:
        """How an effect is written: points and nats with a sign, ratios with three significant digits."""

        def written(value: float | None) -> str:
            if value is None:
                return NONE
            if unit == "nats":
                return signed(value, 3)
            return points(value / 100) if unit == "points" else significant(value)

        return written

    def interval(self, claim: JudgedClaim, pair: ClaimPair) -> str:
        """The interval of the measured effect."""
        if pair.effect_ci95 is None:
            return "no interval"
        return "exact" if pair.basis == "counted" else self._range(claim, pair.effect_ci95)

    def reported(self, claim: JudgedClaim, pair: ClaimPair) -> str:
        """The interval of the published effect, and its source."""
        parts = [self._range(claim, pair.reported_effect_ci95)] if pair.reported_effect_ci95 else []
        return "; ".join([*parts, *([pair.reported_source] if pair.reported_effect is not None else [])])

    def _range(self, claim: JudgedClaim, bounds: tuple[float, float]) -> str:
        shown = self.number(claim.unit)
        return f"{shown(bounds[0])} to {shown(bounds[1])}"

    def more(self, pair: ClaimPair) -> str:
        """What would decide the pair; empty for a pair that is decided, or that nothing would decide."""
        return more_text(pair.more_would_decide)

    def marks(self, claim: JudgedClaim) -> str:
        """What to know about the claim, besides its verdict and the reason of it."""
        return "; ".join(claim_marks(claim))

    @property
    def after_the_fact(self) -> int:
        return sum(claim.after_the_fact for claim in self.claims)


def _view(report: Report) -> ClaimsView | None:
    return ClaimsView(report.claims) if report.claims else None


def _markdown(_: Report, view: ClaimsView) -> Iterator[str]:
    headers = ["claim", "verdict", "left against right", "measured (95%)", "reported", "would decide"]
    yield table(headers, (row for claim in view.claims for row in _rows(claim)))


def _rows(claim: JudgedClaim) -> Iterator[list[str]]:
    """The claim with its verdict, then a row for each pair of models where there are several."""
    about = "; ".join([f"{claim.text}: {claim.relation}", *claim_marks(claim)])
    alone = len(claim.pairs) == 1
    if not alone or claim.reason:
        yield [about, claim.verdict, claim.reason or f"{plural(len(claim.pairs), 'pair')}:", "", "", ""]
        alone, about = False, ""
    for pair in claim.pairs:
        measured = _effect(claim, pair.effect, pair.effect_ci95)
        reported = _effect(claim, pair.reported_effect, pair.reported_effect_ci95)
        more = more_text(pair.more_would_decide).replace(" would decide", "")
        models = f"{pair.left} against {pair.right}"
        yield [about if alone else "", claim.verdict if alone else pair.verdict, models, measured, reported, more]


def _effect(claim: JudgedClaim, value: float | None, ci95: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    interval = "" if ci95 is None else " ({:.3g} to {:.3g})".format(*ci95)
    return f"{value:.3g}{interval} {'times' if claim.unit == 'ratio' else claim.unit}"


SECTION = Section("claims", "Claims", _view, _markdown)
