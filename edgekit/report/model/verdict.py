"""The verdict in words: most accurate, fastest, smallest, the Pareto front, and which differences are significant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from edgekit.documents.report_findings import Finding, Winner
from edgekit.render.numbers import megabytes, percent, percent_range, ratio, significant
from edgekit.render.text import listing, plural
from edgekit.report.model.common_images import CommonImages, common_images
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.front import front
from edgekit.report.model.groups import Group, thread_counts
from edgekit.report.model.latency_comparison import LatencyComparison
from edgekit.report.model.networks import most_accurate_networks
from edgekit.report.model.session_latency import SessionLatency, session_latency
from edgekit.report.model.source import RunData
from edgekit.stats.comparison_with_best import accuracy_of_chosen
from edgekit.stats.process_ratio import FASTER, MIN_ROUNDS, SLOWER


def findings(
    runs: Sequence[RunData], groups: Sequence[Group], comparisons: Comparisons, absent: Sequence[str] = ()
) -> list[Finding]:
    """The verdict on everything in the folder. ``absent`` names exported files that were planned and are not there."""
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
    found = [most_accurate(runs, groups), *quickest, smallest(groups), *fronts]
    return [_with_absent(_with_failures(finding, groups), absent) for finding in found]


def _with_absent(finding: Finding, absent: Sequence[str]) -> Finding:
    """Add what was planned and could not be compared: it might have won."""
    if not absent or not finding.winners:
        return finding
    remark = "; ".join(filter(None, [finding.remark, f"not compared: {listing(absent, 4)}"]))
    return finding.model_copy(update={"remark": remark})


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


def most_accurate(runs: Sequence[RunData], groups: Sequence[Group]) -> Finding:
    """The exported files that may be the most accurate, on common images; the Keras models where none was scored.

    Comparison with the best (Hsu): a winner is named alone only where every other file is shown to be worse.
    """
    question = "Most accurate"
    scored = [group for group in groups if group.accuracy is not None]
    if not scored:
        return most_accurate_networks(runs)
    common = common_images(scored)
    if common is None:
        return _open(question, "these exported files were not scored on the same test images")
    scored = list(common.groups)
    found = common.with_best()
    winners = [common.groups[i] for i in found.candidates]
    figure = _figure_of_best(common)
    others = []
    if common.elsewhere:
        others.append(f"not compared, because they were scored on other images: {_named(common.elsewhere)}")
    if len(scored) == 1:
        return Finding(question=question, winners=_winners(winners), figure=figure, remark="; ".join(others))
    test = "(comparison with the best, Hsu, 95%)"
    if len(winners) == 1:
        remark = f"every other exported file is measurably less accurate on {common.basis} {test}"
    elif len(winners) == len(scored):
        kind = "kinds of exported file" if common.of_methods else "exported files"
        remark = f"accuracy does not separate these {len(scored)} {kind} on {common.basis} {test}"
    else:
        remark = f"accuracy does not separate these {len(winners)} of {len(scored)} on {common.basis} {test}"
    return Finding(question=question, winners=_winners(winners), figure=figure, remark="; ".join([remark, *others]))


def _figure_of_best(common: CommonImages) -> str:
    """The highest accuracy, with an interval that takes account of its being the highest."""
    best = accuracy_of_chosen(common.correct)
    count = len(common.groups)
    among = f", being the highest of {count}" if count > 1 else ""
    share = f"{percent(best.observed)}%"
    of = f"{share} of {plural(common.n_images, 'test image')}"
    if count > 1:
        of = f"the highest accuracy is {of}"
    if common.of_methods:
        seeds = plural(len(common.seeds), "seed")
        of = f"the highest mean accuracy is {share} over {seeds}" if count > 1 else f"{share} on average over {seeds}"
    return f"{of} (95% interval {percent_range((best.accuracy.low, best.accuracy.high))}%{among})"


def _winners(groups: Sequence[Group]) -> tuple[Winner, ...]:
    return tuple(Winner(title=group.title, number=group.number) for group in groups)


def _named(groups: Sequence[Group]) -> str:
    return listing([group.named for group in groups])


def fastest(groups: Sequence[Group], threads: int, comparisons: Comparisons, where: str = "") -> Finding:
    """The lowest latency within one session with one thread setting, and how far behind the next one is."""
    question = f"Fastest, {plural(threads, 'thread')}{where}"
    session = session_latency(groups, threads)
    if session is None:
        return _open(question, _why_nothing_wins(groups, threads))
    winner = session.fastest(comparisons)
    low, high = session.bounds(winner)
    same = [group for comparison, group in _others(winner, session, comparisons) if comparison.verdict != "slower"]
    return Finding(
        question=question,
        winners=_winners([winner, *same]),
        figure=f"{significant(session.ms(winner))} ms (median of the rounds, {significant(low)} to "
        f"{significant(high)} ms; batch 1)",
        remark=_next_fastest(winner, session, comparisons),
    )


def _why_nothing_wins(groups: Sequence[Group], threads: int) -> str:
    shaky = [(p50, group) for group in groups if (p50 := group.real_p50(threads)) is not None]
    if any(group.stable(threads) for _, group in shaky):
        return f"fewer than {MIN_ROUNDS} rounds were measured. Measure longer, for example with --protocol standard"
    if shaky:
        p50, group = min(shaky, key=lambda entry: entry[0])
        return (
            f"no measurement was stable; the lowest unstable p50 is {significant(p50)} ms, of {group.named}. "
            "Measure again on a quiet machine"
        )
    if any(group.first.emulated for group in groups):
        return "measured only on an emulator, which does not show how fast the device is"
    return "not measured yet"


def _others(winner: Group, session: SessionLatency, comparisons: Comparisons) -> list[tuple[LatencyComparison, Group]]:
    """The other groups of the session, each with its ratio to the winner."""
    return [
        (comparison, group)
        for group in session.groups
        if group is not winner and (comparison := session.ratio(group, winner, comparisons)) is not None
    ]


def _next_fastest(winner: Group, session: SessionLatency, comparisons: Comparisons) -> str:
    """How the others of the same session compare with the winner, by the ratio per round."""
    found = _others(winner, session, comparisons)
    same = [group for comparison, group in found if comparison.verdict != "slower"]
    slower = [(comparison, group) for comparison, group in found if comparison.verdict == "slower"]
    parts = [f"latency does not separate it from {_named(same)}"] if same else []
    if slower:
        comparison, group = min(slower, key=lambda entry: entry[0].ratio.ratio)
        parts.append(f"the next, {group.named}, takes {ratio_text(comparison)} as long")
    if session.elsewhere:
        parts.append(f"not compared, because measured in another session: {_named(session.elsewhere)}")
    return "; ".join(parts)


def ratio_text(comparison: LatencyComparison) -> str:
    """``1.24 times (95% interval 1.21 to 1.27)``."""
    found = comparison.ratio
    return ratio(found.ratio, found.low, found.high)


def smallest(groups: Sequence[Group]) -> Finding:
    """The smallest exported file that passed its checks."""
    sized = [group for group in groups if not group.failed]
    if not sized:
        return _open("Smallest", "nothing has been exported yet")
    winner = min(sized, key=lambda group: group.size_bytes)
    equal = [group for group in sized if group.size_bytes == winner.size_bytes]
    # The same file on another target, or with another runtime, is as small.
    named = {(group.first.run.title, group.first.export.key): group for group in reversed(equal)}
    return Finding(
        question="Smallest",
        winners=tuple(Winner(title=group.first.title, number=group.number) for group in reversed(named.values())),
        figure=f"{megabytes(winner.size_bytes)} MB, {megabytes(winner.gzip_bytes)} MB as gzip",
        remark="",
    )


def _front(groups: Sequence[Group], threads: int, comparisons: Comparisons, where: str) -> Finding:
    question = f"Pareto front{where}"
    chosen = front(groups, threads)
    if not chosen:
        return _open(question, "this requires the accuracy and a stable latency of at least one file")
    remark = (
        f"accuracy against latency with {plural(threads, 'thread')}, fastest first; "
        "no other exported file is both faster and at least as accurate"
    )
    common, session = common_images(groups), session_latency(groups, threads)
    assert common is not None
    assert session is not None
    winners = tuple(
        Winner(
            title=group.title,
            number=group.number,
            figure=f"{significant(session.ms(group))} ms, {percent(common.accuracies[group.number])}%",
        )
        for group in chosen
    )
    doubts = [doubt for fast, slow in pairwise(chosen) for doubt in _doubts(fast, slow, session, comparisons)]
    if session.elsewhere:
        doubts.append(f"not compared, because measured in another session: {_named(session.elsewhere)}")
    return Finding(question=question, winners=winners, figure="", remark="; ".join([remark, *doubts]))


def _doubts(fast: Group, slow: Group, session: SessionLatency, comparisons: Comparisons) -> Iterator[str]:
    """Which differences between two neighbours on the front are not significant."""
    if comparisons.separated(fast, slow) is False:
        yield f"accuracy does not separate #{slow.number} from #{fast.number}"
    latency = session.ratio(slow, fast, comparisons)
    if latency is not None and latency.verdict not in (FASTER, SLOWER):
        yield f"latency does not separate #{fast.number} from #{slow.number}"
