"""The profile of each file, as bench prints it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from edgekit.cli.output import table
from edgekit.documents.bench import BenchResult
from edgekit.documents.profile import Profile, read_profile

SHOWN = 8


def profiles_text(results: Sequence[BenchResult], names: dict[str, str]) -> str:
    """A table for every profiled file: the operators that take the most time."""
    found = [(names[result.id], read_profile(result.document.get("profile"))) for result in results]
    return "\n\n".join(_text(name, profile) for name, profile in found if profile is not None)


def _text(name: str, profile: Profile) -> str:
    if profile.reason is not None:
        return textwrap.fill(f"no profile of {name}: {profile.reason}", 80, subsequent_indent="  ")
    rows = [[_short(o.operator), o.where, str(o.calls), f"{o.ms:.3f}", f"{o.share:.1%}"] for o in profile.operators]
    if len(rows) > SHOWN:
        rest = profile.operators[SHOWN:]
        rows[SHOWN:] = [
            [
                f"{len(rest)} more kind{'s' * (len(rest) > 1)}",
                "",
                str(sum(o.calls for o in rest)),
                f"{sum(o.ms for o in rest):.3f}",
                f"{sum(o.share for o in rest):.1%}",
            ]
        ]
    threads = f"{profile.threads} thread{'s' * ((profile.threads or 1) > 1)}"
    heading = f"profile of {name} ({profile.runtime}, {threads}, {profile.runs} runs)"
    note = f"a run takes {profile.run_ms:.3f} ms while profiled, {profile.operators_ms:.3f} ms of it in operators"
    return f"{heading}\n{table(['operator', 'where', 'calls', 'ms a run', '%'], rows, right=(2, 3, 4))}\n{note}"


def _short(operator: str) -> str:
    return operator if len(operator) <= 40 else f"{operator[:38]}.."
