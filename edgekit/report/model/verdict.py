"""The answer in words: most accurate, fastest, smallest, the Pareto front, each with what the difference is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean

from edgekit.render.numbers import megabytes, percent, percent_range, ratio, significant
from edgekit.render.text import listing, plural
from edgekit.report.model.groups import Group, front, indistinguishable, not_worse
from edgekit.report.model.reading import RunData
from edgekit.report.model.rows import Score, model_title, run_score, strategy_title
from edgekit.report.model.sessions import comparisons
from edgekit.stats.latency import NO_DIFFERENCE


@dataclass(frozen=True)
class Winner:
    """A candidate that answers a question. ``number`` is its row; None for a Keras model, which has none."""

    title: str
    number: int | None = None
    figure: str = ""


@dataclass(frozen=True)
class Finding:
    """One line of the verdict. Without ``winners`` the question cannot be answered yet; ``remark`` says why."""

    question: str
    winners: tuple[Winner, ...]
    figure: str
    remark: str


def findings(runs: Sequence[RunData], groups: Sequence[Group]) -> list[Finding]:
    """The verdict over everything in the folder."""
    targets = list(dict.fromkeys(group.first.target for group in groups if group.first.target is not None))
    quickest, fronts = [], []
    for target in targets:
        members = [group for group in groups if group.first.target == target]
        where = f" on {target}" if len(targets) > 1 else ""
        counts = thread_counts(members)
        quickest += [fastest(members, threads, where) for threads in counts]
        fronts += [_front(members, counts[0], where)] if counts else []
    if not quickest:
        quickest.append(Finding("Fastest", (), "", "not measured yet"))
    found = [most_accurate(runs, groups), *quickest, smallest(groups), *fronts]
    return [_with_failures(finding, groups) for finding in found]


def _with_failures(finding: Finding, groups: Sequence[Group]) -> Finding:
    """Say of a winner whose files failed their check for some seeds that its figures are those of the others."""
    by_number = {group.number: group for group in groups}
    won = [by_number[winner.number] for winner in finding.winners if winner.number in by_number]
    doubts = [
        f"of No. {group.number} the files of {len(group.left_out)} of "
        f"{plural(len(group.left_out) + len(group.members), 'seed')} failed their check and are not in its figures"
        for group in won
        if group.left_out
    ]
    return replace(finding, remark="; ".join([*([finding.remark] if finding.remark else []), *doubts]))


def thread_counts(groups: Sequence[Group]) -> list[int]:
    """Every number of threads that something was measured with, ascending."""
    return sorted({timing.threads for group in groups for member in group.members for timing in member.timings})


def threads_text(threads: int) -> str:
    """``1 thread``, ``4 threads``."""
    return plural(threads, "thread")


def most_accurate(runs: Sequence[RunData], groups: Sequence[Group]) -> Finding:
    """The best accuracy of the exported files; of the Keras models where no file was scored."""
    scored = [(group.accuracy, group) for group in groups if group.accuracy is not None]
    if not scored:
        return _most_accurate_keras(runs)
    best = max(accuracy for accuracy, _ in scored)
    winners = [group for accuracy, group in scored if accuracy == best]
    alike = not_worse(winners[0], [group for _, group in scored if group not in winners])
    n = winners[0].first.score
    assert n is not None
    if len(winners[0].members) == 1:
        figure = _accuracy_text(n)
        remark = f"not measurably worse on these images (exact McNemar test at 5%, Holm): {_named(alike)}"
    else:
        figure = f"{percent(best)}% on average over {plural(len(winners[0].members), 'seed')}"
        figure += f" (95% interval over seeds {percent_range(winners[0].interval)}%)"
        remark = f"not measurably worse over these seeds and images (t test at 5%, Holm): {_named(alike)}"
    return Finding("Most accurate", _winners(winners), figure, remark if alike else "")


def _accuracy_text(score: Score) -> str:
    return f"{percent(score.accuracy)}% of {score.n_samples:,} test images (95% interval {percent_range(score.ci95)}%)"


def _winners(groups: Sequence[Group]) -> tuple[Winner, ...]:
    return tuple(Winner(group.title, group.number) for group in groups)


def _named(groups: Sequence[Group]) -> str:
    return listing([f"{group.title} (No. {group.number})" for group in groups])


def _most_accurate_keras(runs: Sequence[RunData]) -> Finding:
    """Of the means over seeds, never the best seed."""
    kinds: dict[str, list[Score]] = {}
    for run in runs:
        if (score := run_score(run)) is not None:
            kinds.setdefault(f"{model_title(run.document)}, {strategy_title(run.document)}", []).append(score)
    if not kinds:
        return Finding("Most accurate", (), "", "not known yet: no trained model has been scored on the test split")
    means = {title: mean(score.accuracy for score in scores) for title, scores in kinds.items()}
    best = max(means.values())
    winners = [title for title, accuracy in means.items() if accuracy == best]
    scores = kinds[winners[0]]
    figure = _accuracy_text(scores[0])
    if len(scores) > 1:
        figure = f"{percent(best)}% on average over {plural(len(scores), 'seed')}"
    return Finding(
        "Most accurate",
        tuple(Winner(title) for title in winners),
        figure,
        "of the Keras models; no exported file has been scored on the test split yet",
    )


def fastest(groups: Sequence[Group], threads: int, where: str = "") -> Finding:
    """The lowest stable p50 with one thread setting, and how far the next one is behind."""
    question = f"Fastest, {threads_text(threads)}{where}"
    placed = [(p50, group) for group in groups if (p50 := group.comparable_p50(threads)) is not None]
    if not placed:
        return Finding(question, (), "", _why_nothing_wins(groups, threads))
    p50, winner = min(placed, key=lambda entry: entry[0])
    figure = f"{significant(p50)} ms (p50, batch 1)"
    return Finding(question, _winners([winner]), figure, _next_fastest(winner, groups, threads))


def _why_nothing_wins(groups: Sequence[Group], threads: int) -> str:
    shaky = [(p50, group) for group in groups if (p50 := group.real_p50(threads)) is not None]
    if shaky:
        p50, group = min(shaky, key=lambda entry: entry[0])
        return (
            f"no stable measurement; the lowest unstable p50 was {significant(p50)} ms, of {_named([group])}. "
            "Measure again on a quiet machine"
        )
    if any(group.first.emulated for group in groups):
        return "measured on an emulator only, which says nothing about the device"
    return "not measured yet"


def _next_fastest(winner: Group, groups: Sequence[Group], threads: int) -> str:
    """How the others of the same session compare with the winner, by the ratio per round."""
    reference = winner.first.result
    assert reference is not None
    # A ratio per round is one of two files: of several seeds the first stands for all, their networks are equal.
    by_id = {g.first.result.id: g for g in groups if g.first.result is not None}
    results = [g.first.result for g in groups if g.first.result is not None and g.comparable_p50(threads) is not None]
    against = [
        entry
        for entry in comparisons(results)
        if entry.threads == threads and entry.against == reference.id and entry.model in by_id
    ]
    same = [by_id[entry.model] for entry in against if entry.verdict == NO_DIFFERENCE]
    slower = sorted((e for e in against if e.verdict == "slower"), key=lambda entry: entry.ratio)
    parts = [f"no difference measured to {_named(same)}"] if same else []
    if slower:
        times = ratio(slower[0].ratio, *slower[0].ratio_ci95)
        parts.append(f"the next, {_named([by_id[slower[0].model]])}, takes {times} as long")
    return "; ".join(parts)


def smallest(groups: Sequence[Group]) -> Finding:
    """The smallest deployed file that is whole."""
    sized = [(group.first.size_bytes, group) for group in groups if group.first.size_bytes and not group.failed]
    if not sized:
        return Finding("Smallest", (), "", "nothing has been exported yet")
    size, winner = min(sized, key=lambda entry: entry[0] or 0)
    figure = f"{megabytes(size)} MB"
    if winner.first.gzip_bytes:
        figure += f", {megabytes(winner.first.gzip_bytes)} MB as gzip"
    return Finding("Smallest", (Winner(winner.first.title, winner.number),), figure, "")


def _front(groups: Sequence[Group], threads: int, where: str) -> Finding:
    question = f"Pareto front{where}"
    chosen = front(groups, threads)
    if not chosen:
        return Finding(question, (), "", "needs accuracy and a stable latency of at least one file")
    remark = (
        f"accuracy against p50 with {threads_text(threads)}, fastest first: "
        "no other candidate is as accurate and faster"
    )
    winners = tuple(
        Winner(g.title, g.number, f"{significant(g.p50(threads) or 0)} ms, {percent(g.accuracy)}%") for g in chosen
    )
    doubts = [doubt for fast, slow in pairwise(chosen) for doubt in _doubts(fast, slow, threads)]
    return Finding(question, winners, "", "; ".join([remark, *doubts[:4]]))


def _doubts(fast: Group, slow: Group, threads: int) -> Iterator[str]:
    """What the measurements do not tell about two neighbours on the front."""
    if indistinguishable(fast, slow):
        yield f"No. {slow.number} is not measurably more accurate than No. {fast.number}"
    pair = [group.first.result for group in (fast, slow) if group.first.result is not None]
    if any(entry.threads == threads and entry.verdict == NO_DIFFERENCE for entry in comparisons(pair)):
        yield f"No. {fast.number} is not measurably faster than No. {slow.number}"
