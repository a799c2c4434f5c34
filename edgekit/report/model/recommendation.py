"""The recommendation that a report begins with: which exported file to deploy, why, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from edgekit.documents.report_findings import Finding, RecommendationRecord, RecommendedFile, Winner
from edgekit.recipe import Constraint as RecipeConstraint
from edgekit.render.text import capitalized, listing, plural
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.groups import Group
from edgekit.report.model.recommendation_field import Field, field_of, limits_of
from edgekit.report.model.source import Source
from edgekit.stats.recommendation import (
    MEETS,
    NOT_DECIDED_BETWEEN,
    NOT_SHOWN,
    NOTHING,
    SHOWN,
    Constraint,
    Recommendation,
)

DEFAULT_LOSS = 1.0
"""Points that a file may lose against the best, where the recipe switches its accuracy gate off."""

NOT_SCORED = "no exported file has been scored on the test images, so none can be recommended"
NOT_COMPARABLE = "the exported files were scored on different test images, so none can be recommended"


def recommendation(
    source: Source,
    groups: Sequence[Group],
    comparisons: Comparisons,
    doubts: Sequence[str] = (),
    asked: RecipeConstraint | None = None,
    of_images: str = "",
) -> RecommendationRecord | None:
    """What to deploy on the first target on which files were scored; None where none was and nothing was asked.

    ``asked``: the constraint of the command line; without one, that of the recipe where it has exactly one.
    ``of_images``: the doubt about the test images, which is stronger than all others.
    """
    constraint = asked or _only_constraint(source)
    allowed = _allowed_points(source, constraint)
    for target in dict.fromkeys(group.target for group in groups):
        field = field_of([group for group in groups if group.target == target], allowed, constraint)
        if field is not None:
            return _record(field, field.recommended(comparisons), target, doubts, of_images)
    if constraint is None and not any(group.accuracy is not None for group in groups):
        return None
    return RecommendationRecord(
        status="undecided",
        exports=(),
        target=None,
        threads=None,
        runtime=None,
        reasons=(f"{capitalized(_why_none(groups))}.",),
        doubts=(),
    )


def constraint_findings(source: Source, groups: Sequence[Group], comparisons: Comparisons) -> list[Finding]:
    """The answers to the recipe's constraints, as lines of the verdict: by the rule of the recommendation."""
    constraints = [] if source.recipe is None else source.recipe.constraints
    targets = list(dict.fromkeys(group.target for group in groups if group.target is not None))
    found = []
    for constraint in constraints:
        question = capitalized(_limits_text(limits_of(constraint)))
        if not targets:
            found.append(Finding(question=question, winners=(), figure="", remark=NOT_SCORED))
        for target in targets:
            members = [group for group in groups if group.target == target]
            where = f"{question} on {target}" if len(targets) > 1 else question
            field = field_of(members, _allowed_points(source, constraint), constraint)
            if field is None:
                found.append(Finding(question=where, winners=(), figure="", remark=_why_none(members)))
            else:
                found.append(_finding(field, field.recommended(comparisons), where))
    return found


def _why_none(groups: Sequence[Group]) -> str:
    """Why there is nothing to compare."""
    scored = [group for group in groups if group.accuracy is not None]
    if scored and all(group.first.emulated for group in scored):
        return "measured only on an emulator, which does not show how fast the device is"
    return NOT_COMPARABLE if scored else NOT_SCORED


def _finding(field: Field, found: Recommendation, question: str) -> Finding:
    status, positions, reasons = _ANSWERS[found.status](field, found)
    named = [field.groups[i] for i in positions]
    winners = tuple(Winner(title=group.title, number=group.number) for group in named) if status == "chosen" else ()
    figure = {"chosen": "", "none": "none", "undecided": "undecided"}[status]
    remark = " ".join(reasons).removesuffix(".")
    return Finding(question=question, winners=winners, figure=figure, remark=remark)


def _only_constraint(source: Source) -> RecipeConstraint | None:
    constraints = [] if source.recipe is None else source.recipe.constraints
    return constraints[0] if len(constraints) == 1 else None


def _allowed_points(source: Source, constraint: RecipeConstraint | None) -> float:
    if constraint is not None and constraint.max_points_lost is not None:
        return constraint.max_points_lost
    gate = None if source.recipe is None else source.recipe.export.max_drop
    return DEFAULT_LOSS if gate is None else gate


def _record(
    field: Field, found: Recommendation, target: str | None, doubts: Sequence[str], of_images: str
) -> RecommendationRecord:
    status, positions, reasons = _ANSWERS[found.status](field, found)
    first = field.groups[positions[0]] if positions else None
    runtime = None if first is None or first.first.runtime is None else first.first.runtime.name
    own = _doubts(field, found)
    return RecommendationRecord(
        status=status,
        exports=tuple(_file(field.groups[i]) for i in positions),
        target=target,
        threads=field.threads if field.session is not None else None,
        runtime=runtime,
        reasons=tuple(reasons),
        doubts=(*([of_images] if of_images else []), *own, *doubts),
    )


def _file(group: Group) -> RecommendedFile:
    return RecommendedFile(
        number=group.number,
        title=group.title,
        run_ids=tuple(member.run.id for member in group.members),
        format=group.first.export.format,
        scheme=group.first.export.scheme,
    )


_Answer = tuple[Literal["chosen", "none", "undecided"], list[int], list[str]]


def _chosen(field: Field, found: Recommendation) -> _Answer:
    assert found.chosen is not None
    loss, numbers = field.loss(found.chosen), field.numbers(found.chosen)
    n, eligible, as_fast = len(field.within), len(found.eligible), len(found.as_fast)
    if n == 1:
        return "chosen", [found.chosen], [numbers, f"It is the only exported file{_that_meet(field)}."]
    points = plural(field.allowed_points, "point")
    if eligible == 1:
        reason = (
            f"It is the only one of {n} exported files{_that_meet(field)} that is shown to lose at most {points} "
            f"against the best (at most {loss:.1f})."
        )
        return "chosen", [found.chosen], [numbers, reason]
    reason = (
        f"Chosen from {eligible} of {n} exported files{_that_meet(field)} that are shown to lose at most {points} "
        f"against the best (this one at most {loss:.1f})"
    )
    timed = sum(field.latency(field.groups[i]) is not None for i in found.eligible)
    if field.latency(field.groups[found.chosen]) is None:
        reason += "; it is the smallest of them (no comparable latency was measured)"
    elif as_fast > 1:
        reason += f"; it is the smallest of the {as_fast} fastest, which latency does not separate"
    elif timed < eligible:
        reason += f"; of the {timed} of them that were timed in the same session, it is the fastest"
    else:
        reason += "; it is measurably the fastest of them"
    return "chosen", [found.chosen], [numbers, f"{reason}."]


def _not_shown(field: Field, found: Recommendation) -> _Answer:
    assert found.chosen is not None
    candidates = [i for i in field.candidates if i != found.chosen]
    reason = (
        f"On {field.common.basis}, no exported file{_that_meet(field)} is shown to lose at most "
        f"{plural(field.allowed_points, 'point')} against the best. {field.groups[found.chosen].named} has the highest "
        "accuracy of the files that may be deployed."
    )
    return "undecided", [found.chosen, *candidates], [field.numbers(found.chosen), reason]


def _between(field: Field, found: Recommendation) -> _Answer:
    names = listing([field.groups[i].named for i in found.undecided], 6)
    reason = f"Undecided between {names}: what was measured does not show whether they meet {_limit_text(field)}."
    return "undecided", list(found.undecided), [reason, field.numbers(found.undecided[0])]


def _none(field: Field, found: Recommendation) -> _Answer:
    if found.nearest is None:
        return "none", [], [f"No exported file meets {_limit_text(field)}."]
    named = field.groups[found.nearest].named
    reason = f"No exported file meets {_limit_text(field)}; the nearest is {named}."
    return "none", [found.nearest], [reason, field.numbers(found.nearest)]


_ANSWERS: dict[str, Callable[[Field, Recommendation], _Answer]] = {
    SHOWN: _chosen,
    NOT_SHOWN: _not_shown,
    NOT_DECIDED_BETWEEN: _between,
    NOTHING: _none,
}

_LIMITS: dict[str, Callable[[float], str]] = {
    "latency_ms": lambda limit: f"{limit:g} ms",
    "size_mb": lambda limit: f"{limit:g} MB",
    "memory_mb": lambda limit: f"{limit:g} MB of memory",
    "points_lost": lambda limit: f"{plural(limit, 'point')} below the most accurate file",
}


def _limits_text(limits: Sequence[Constraint]) -> str:
    return listing([f"at most {_LIMITS[limit.name](limit.limit)}" for limit in limits], 6)


def _limit_text(field: Field) -> str:
    return _limits_text(field.constraints)


def _that_meet(field: Field) -> str:
    return f" within the limits ({_limit_text(field)})" if field.constraints else ""


def _doubts(field: Field, found: Recommendation) -> list[str]:
    """What the choice itself leaves open, the strongest first."""
    doubts = []
    if found.status == SHOWN and found.chosen is not None:
        doubts += [_faster_text(field, i) for i in range(len(field.groups)) if _may_be_better(field, i, found)]
    if found.status == SHOWN and found.undecided:
        names = listing([field.groups[i].named for i in found.undecided])
        doubts.append(f"It is undecided whether {names} would meet {_limit_text(field)} as well.")
    if field.common.elsewhere:
        names = listing([group.named for group in field.common.elsewhere])
        doubts.append(f"{names} could not be compared (scored on other test images).")
    if field.session is not None and field.session.elsewhere:
        names = listing([group.named for group in field.session.elsewhere])
        doubts.append(f"The latency of {names} was measured in another session and is not compared.")
    return doubts


def _may_be_better(field: Field, position: int, found: Recommendation) -> bool:
    """Whether a file is faster and within the allowed loss as far as is known, though that is not shown."""
    if found.chosen is None or position in found.eligible or position in found.undecided:
        return False
    mine, chosen = (field.latency(field.groups[i]) for i in (position, found.chosen))
    meets = all(limit.judge(field.contender(position).figures.get(limit.name)) == MEETS for limit in field.constraints)
    faster = mine is not None and chosen is not None and mine.high < chosen.low
    return meets and faster and field.behind(position) <= field.allowed_points


def _faster_text(field: Field, position: int) -> str:
    return (
        f"{field.groups[position].named} is faster and {field.behind(position):.1f} points behind the highest "
        f"accuracy, but these images do not show that it loses at most {plural(field.allowed_points, 'point')} "
        f"(it may lose {field.loss(position):.1f})."
    )
