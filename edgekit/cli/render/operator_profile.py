"""The operator profile of each model, as bench prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.cli.output import table
from edgekit.cli.render.tables import wrapped
from edgekit.documents.bench import BenchResult
from edgekit.documents.profile import Profile
from edgekit.render.numbers import number, percent
from edgekit.render.text import clipped, plural

SHOWN = 8
OPERATOR_WIDTH = 40


def profiles_text(results: Sequence[BenchResult], names: Mapping[str, str]) -> str:
    """A table for each profiled model, with the operators that take the most time."""
    found = [(names[result.id], result.bench.profile) for result in results]
    return "\n\n".join(_text(name, profile.by_operator()) for name, profile in found if profile is not None)


def _text(name: str, profile: Profile) -> str:
    if profile.reason is not None:
        return wrapped(f"no profile of {name}: {profile.reason}")
    rows = [
        [clipped(o.operator, OPERATOR_WIDTH), o.where, str(o.calls), number(o.ms, 3), percent(o.share)]
        for o in profile.operators
    ]
    if len(rows) > SHOWN:
        rest = profile.operators[SHOWN:]
        rows[SHOWN:] = [
            [
                plural(len(rest), "more kind"),
                "",
                str(sum(o.calls for o in rest)),
                number(sum(o.ms for o in rest), 3),
                percent(sum(o.share for o in rest)),
            ]
        ]
    threads = plural(profile.threads or 1, "thread")
    heading = f"profile of {name} ({profile.runtime}, {threads}, {plural(profile.runs, 'run')})"
    note = (
        f"a profiled run takes {number(profile.run_ms, 3)} ms, "
        f"of which operators take {number(profile.operators_ms, 3)} ms"
    )
    return f"{heading}\n{table(['operator', 'where', 'calls', 'ms per run', '%'], rows, right=(2, 3, 4))}\n{note}"
