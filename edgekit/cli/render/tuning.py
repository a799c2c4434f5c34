"""What `edgekit bench --tune` found, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.cli.render.tables import fitted_table, wrapped
from edgekit.documents.bench import BenchResult
from edgekit.documents.tuning import NOT_TRIED, UNSTABLE, TuningRecord
from edgekit.render.numbers import NONE, number
from edgekit.render.setting import setting_text
from edgekit.stats.process_ratio import FASTER

BUSY = (
    "unstable: other programs were running, so no setting can win; rerun on a quiet machine. The settings stay those "
    "of the default."
)


def tuning_text(results: Sequence[BenchResult], names: Mapping[str, str]) -> str:
    """A row for each tuned file: the setting, and its latency over that of the default; empty without tuning."""
    tuned = [(names[result.id], result.bench.tuning) for result in results if result.bench.tuning is not None]
    if not tuned:
        return ""
    rows = [[name, _setting(tuning), _ratio(tuning), _verdict(tuning)] for name, tuning in tuned]
    default = setting_text(tuned[0][1].default, runtime=False)
    title = wrapped(f"fastest setting against the default ({default}), confirmed in new processes")
    parts = [title, fitted_table(["file", "setting", "x default [95%]", "verdict"], rows, right=(2,))]
    if any(tuning.verdict == UNSTABLE for _, tuning in tuned):
        parts.append(wrapped(BUSY))
    return "\n".join(parts)


def _setting(tuning: TuningRecord) -> str:
    setting = tuning.found or tuning.default
    return setting_text(setting, runtime=setting.runtime != tuning.default.runtime)


def _ratio(tuning: TuningRecord) -> str:
    confirmed = tuning.confirmed()
    if confirmed is None:
        return NONE
    ratio = confirmed.ratio
    return f"{number(ratio.ratio, 2)} [{number(ratio.low, 2)}, {number(ratio.high, 2)}]"


def _verdict(tuning: TuningRecord) -> str:
    """Short enough for a table."""
    if tuning.verdict in (FASTER, UNSTABLE):
        return str(tuning.verdict)
    return "none faster" if tuning.verdict == NOT_TRIED else "not measurably faster"
