"""The verdict in words: most accurate, fastest, smallest, the Pareto front, and which differences are significant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean

from edgekit.documents.report_findings import Finding, Winner
from edgekit.render.numbers import megabytes, percent, percent_range, ratio, significant
from edgekit.render.text import listing, plural
from edgekit.report.model.comparisons import Comparisons, LatencyRatio
from edgekit.report.model.groups import Group, front, thread_counts
from edgekit.report.model.source import RunData, Score
from edgekit.stats.latency import NO_DIFFERENCE


def findings(runs: Sequence[RunData], groups: Sequence[Group], comparisons: Comparisons) -> list[Finding]:
    """The verdict on everything in the folder."""
    targets = list(dict.fromkeys(group.target for group in groups if group.target is not None))
    quickest, fronts = [], []
    for target in targets:
        members = [group for group in groups if group.target == target]
        where = f" on {target}" if len(targets) > 1 else ""
        counts = thread_counts(members)
        quickest += [fastest(members, threads, comparisons, where) for threads in counts]
        fronts += [_front(members, counts[0], comparisons, where)] if counts else []
    if not quickest:
        quickest.append(_open("Fastest", "not measured yet"))
    found = [most_accurate(runs, groups, comparisons), *quickest, smallest(groups), *fronts]
    return [_with_failures(finding, groups) for finding in found]


def _open(question: str, remark: str) -> Finding:
    """A question without an answer yet."""
    return Finding(question=question, winners=(), figure="", remark=remark)


def _with_failures(finding: Finding, groups: Sequence[Group]) -> Finding:
    """Add to the remark which winners have seeds whose files failed, because their figures leave those out."""
    by_number = {group.number: group for group in groups}
    won = [by_number[winner.number] for winner in finding.winners if winner.number in by_number]
    doubts = [
        f"the figures of #{group.number} leave out {len(group.left_out)} of "
        f"{plural(len(group.left_out) + len(group.members), 'seed')} whose files failed a check"
        for group in won
        if group.left_out
    ]
    remark = "; ".join([*([finding.remark] if finding.remark else []), *doubts])
    return finding.model_copy(update={"remark": remark})


def most_accurate(runs: Sequence[RunData], groups: Sequence[Group], comparisons: Comparisons) -> Finding:
    """The best accuracy of the exported files; of the Keras models where no file was scored."""
    scored = [group for group in groups if group.accuracy is not None]
    if not scored:
        return _most_accurate_keras(runs)
    best = max(group.accuracy or 0.0 for group in scored)
    winners = [group for group in scored if group.accuracy == best]
    first, score = winners[0], winners[0].first.score
    assert score is not None
    figure = _accuracy_text(score)
    if len(first.members) > 1:
        figure = f"mean accuracy {percent(best)}% over {plural(len(first.members), 'seed')}"
        figure += f" (95% interval over seeds {percent_range(first.interval)}%)"
    remark = _not_separated(winners, scored, comparisons)
    return Finding(question="Most accurate", winners=_winners(winners), figure=figure, remark=remark)


def _not_separated(winners: Sequence[Group], scored: Sequence[Group], comparisons: Comparisons) -> str:
    """The other files whose accuracy does not differ significantly from that of the winners, in a sentence."""
    first, others = winners[0], [group for group in scored if group not in winners]
    alike = comparisons.not_separated(first, others)
    if not alike:
        return ""
    assert first.first.score is not None
    images = plural(first.first.score.n_samples, "image")
    seeds = len(first.members) > 1
    test = "t test over seeds and images" if seeds else "exact McNemar test"
    basis = f"{images} and {plural(len(first.members), 'seed')}" if seeds else images
    how = f"({test} at 5%, Holm-corrected)"
    if len(alike) == len(others):
        kind = "kinds of exported file" if seeds else "exported files"
        return f"accuracy does not separate these {len(scored)} {kind} on {basis} {how}"
    return f"accuracy does not separate it from {_named(alike)} on {basis} {how}"


def _accuracy_text(score: Score) -> str:
    return f"{percent(score.accuracy)}% of {score.n_samples:,} test images (95% interval {percent_range(score.ci95)}%)"


def _winners(groups: Sequence[Group]) -> tuple[Winner, ...]:
    return tuple(Winner(title=group.title, number=group.number) for group in groups)


def _named(groups: Sequence[Group]) -> str:
    return listing([group.named for group in groups])


def _most_accurate_keras(runs: Sequence[RunData]) -> Finding:
    """Compares means over seeds, never the best seed."""
    kinds: dict[str, list[Score]] = {}
    for run in runs:
        if run.score is not None:
            kinds.setdefault(run.title, []).append(run.score)
    if not kinds:
        return _open("Most accurate", "no trained model has been scored on the test split yet")
    means = {title: mean(score.accuracy for score in scores) for title, scores in kinds.items()}
    best = max(means.values())
    winners = [title for title, accuracy in means.items() if accuracy == best]
    scores = kinds[winners[0]]
    figure = _accuracy_text(scores[0])
    if len(scores) > 1:
        figure = f"mean accuracy {percent(best)}% over {plural(len(scores), 'seed')}"
    return Finding(
        question="Most accurate",
        winners=tuple(Winner(title=title) for title in winners),
        figure=figure,
        remark="this compares the Keras models, because no exported file has been scored on the test split yet",
    )


def fastest(groups: Sequence[Group], threads: int, comparisons: Comparisons, where: str = "") -> Finding:
    """The lowest stable p50 with one thread setting, and how far behind the next one is."""
    question = f"Fastest, {plural(threads, 'thread')}{where}"
    placed = [(p50, group) for group in groups if (p50 := group.comparable_p50(threads)) is not None]
    if not placed:
        return _open(question, _why_nothing_wins(groups, threads))
    p50, winner = min(placed, key=lambda entry: entry[0])
    return Finding(
        question=question,
        winners=_winners([winner]),
        figure=f"{significant(p50)} ms (p50, batch 1)",
        remark=_next_fastest(winner, [group for _, group in placed], threads, comparisons),
    )


def _why_nothing_wins(groups: Sequence[Group], threads: int) -> str:
    shaky = [(p50, group) for group in groups if (p50 := group.real_p50(threads)) is not None]
    if shaky:
        p50, group = min(shaky, key=lambda entry: entry[0])
        return (
            f"no measurement was stable; the lowest unstable p50 is {significant(p50)} ms, of {group.named}. "
            "Measure again on a quiet machine"
        )
    if any(group.first.emulated for group in groups):
        return "measured on an emulator only, which says nothing about the device"
    return "not measured yet"


def _next_fastest(winner: Group, groups: Sequence[Group], threads: int, comparisons: Comparisons) -> str:
    """How the others of the same session compare with the winner, by the ratio per round."""
    # A ratio per round belongs to two files; the first seed represents the others, because their graphs are equal.
    found = [
        (comparison, group)
        for group in groups
        if group is not winner and (comparison := comparisons.latency(group.first, winner.first, threads)) is not None
    ]
    same = [group for comparison, group in found if comparison.verdict == NO_DIFFERENCE]
    slower = [(comparison, group) for comparison, group in found if comparison.verdict == "slower"]
    parts = [f"latency does not separate it from {_named(same)}"] if same else []
    if slower:
        comparison, group = min(slower, key=lambda entry: entry[0].ratio.median)
        parts.append(f"the next, {group.named}, takes {ratio_text(comparison)} as long")
    return "; ".join(parts)


def ratio_text(comparison: LatencyRatio) -> str:
    """``1.24 times (95% interval 1.21 to 1.27)``."""
    found = comparison.ratio
    return ratio(found.median, found.low, found.high)


def smallest(groups: Sequence[Group]) -> Finding:
    """The smallest exported file that passed its checks."""
    sized = [group for group in groups if not group.failed]
    if not sized:
        return _open("Smallest", "nothing has been exported yet")
    winner = min(sized, key=lambda group: group.first.export.size_bytes)
    export = winner.first.export
    return Finding(
        question="Smallest",
        winners=(Winner(title=winner.first.title, number=winner.number),),
        figure=f"{megabytes(export.size_bytes)} MB, {megabytes(export.gzip_bytes)} MB as gzip",
        remark="",
    )


def _front(groups: Sequence[Group], threads: int, comparisons: Comparisons, where: str) -> Finding:
    question = f"Pareto front{where}"
    chosen = front(groups, threads)
    if not chosen:
        return _open(question, "this requires the accuracy and a stable latency of at least one file")
    remark = (
        f"accuracy against p50 with {plural(threads, 'thread')}, fastest first; "
        "no other exported file is both faster and at least as accurate"
    )
    winners = tuple(
        Winner(
            title=group.title,
            number=group.number,
            figure=f"{significant(group.p50(threads) or 0)} ms, {percent(group.accuracy)}%",
        )
        for group in chosen
    )
    doubts = [doubt for fast, slow in pairwise(chosen) for doubt in _doubts(fast, slow, threads, comparisons)]
    return Finding(question=question, winners=winners, figure="", remark="; ".join([remark, *doubts[:4]]))


def _doubts(fast: Group, slow: Group, threads: int, comparisons: Comparisons) -> Iterator[str]:
    """Which differences between two neighbours on the front are not significant."""
    if comparisons.separated(fast, slow) is False:
        yield f"accuracy does not separate #{slow.number} from #{fast.number}"
    latency = comparisons.latency(slow.first, fast.first, threads)
    if latency is not None and latency.verdict == NO_DIFFERENCE:
        yield f"latency does not separate #{fast.number} from #{slow.number}"
