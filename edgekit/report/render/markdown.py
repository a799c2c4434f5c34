"""The report as text: Markdown for a repository or a mail, CSV for a spreadsheet, a card for every exported file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgekit.render import numbers as words
from edgekit.render.text import listing, plural
from edgekit.report.model.corruption_rows import interval_of
from edgekit.report.model.rows import Candidate, run_score
from edgekit.report.model.verdict import threads_text

if TYPE_CHECKING:
    from edgekit.report.model.claim_verdicts import JudgedClaim
    from edgekit.report.model.content import Report
    from edgekit.report.model.corruption_rows import Robustness
    from edgekit.report.model.groups import Group
    from edgekit.report.model.learning import LearnedKind
    from edgekit.stats.claims import Evidence

CSV_COLUMNS = (
    "number", "run_id", "backbone", "strategy", "seed", "format", "scheme", "status", "accuracy", "n_samples",
    "accuracy_low", "accuracy_high", "accuracy_drop", "size_bytes", "gzip_bytes", "model_rss_bytes", "target",
    "joules_per_inference", "runtime", "threads", "n_runs",
    "latency_ms_p50", "latency_ms_p90", "latency_ms_p95", "latency_ms_p99",
    "on_pareto_front", "marks", "sha256",
)  # fmt: skip


def report_markdown(report: Report) -> str:
    """The verdict, what the numbers do not prove, claims, and the table of candidates."""
    parts = [f"# {_plain(report.source.name)}", f"edgekit {report.edgekit_version}, {report.created}", "## Verdict"]
    parts.append("\n".join(f"- **{_plain(f.question)}**: {_finding(f)}" for f in report.findings))
    if report.limits:
        parts += ["What these numbers do not prove:", "\n".join(f"- {_plain(text)}" for text in report.limits)]
    if report.claims:
        rows = [row for claim in report.claims for row in _claim_rows(claim)]
        headers = ["claim", "verdict", "left against right", "measured (95%)", "reported", "would decide"]
        parts += ["## Claims", _table(headers, rows)]
    latency = [f"p50, ms, {threads_text(n)}" for n in report.threads]
    if report.several_seeds:
        rows = [list(_group_cells(report, group)) for group in report.groups]
        headers = ["No.", "candidate", "seeds", "accuracy, % (95%)", *latency, "MB", "marks"]
        parts += ["## Means over seeds", _table(headers, rows)]
    if report.candidates:
        rows = [list(_candidate_cells(report, candidate)) for candidate in report.candidates]
        number, title = ("file", "Every file") if report.several_seeds else ("No.", "Candidates")
        headers = [number, "candidate", "seed", "accuracy, % (95%)", "drop, points", *latency, "MB", "marks"]
        parts += [f"## {title}", _table(headers, rows)]
    if report.robustness is not None:
        parts += ["## Corrupted images", *_corrupted(report.robustness)]
    if report.audit is not None and report.audit.document["leaked_test_images"]:
        rows = [
            [row.title, _score(row.everything), _score(row.without_exact), _score(row.without_any)]
            for row in report.audit.accuracies
        ]
        headers = ["Keras model", "all test images, %", "without exact copies", "without exact and near"]
        parts += ["## Accuracy without leaked images", _table(headers, rows)]
    if report.classes:
        told = [f"{c.left.title} against {c.right.title}: {c.sentence}" for c in report.classes]
        parts += ["## Differences by class", "\n".join(f"- {_plain(text)}" for text in told)]
    if report.learning is not None:
        rows = [list(_learned_cells(kind)) for kind in report.learning.kinds]
        headers = ["Keras model", "seeds", "validation, %", "test, % (95% over seeds)", "training above, points"]
        parts += ["## Training", _table(headers, rows)]
    if report.warnings:
        parts += [
            "## Warnings",
            "\n".join(f"- {_plain(t)} ({_plain(listing(a, 4))})" for t, a in report.warnings),
        ]
    return "\n\n".join(parts) + "\n"


def _corrupted(shift: Robustness) -> Iterator[str]:
    """Accuracy on corrupted images of every kind of model, and each file against its fp32 twin."""
    rows = []
    for s in shift.models:
        shares = [words.percent(value) for value in (s.clean, s.corrupted, s.relative_error)]
        errors = [words.number(value, 3) for value in (s.clean_ece, s.ece)]
        rows.append([s.title, s.target, str(s.seeds), *shares, *errors])
    yield _table(["model", "target", "seeds", "clean, %", "corrupted, %", "lost, points", "ECE", "ECE corrupted"], rows)
    for d in shift.arms:
        gain = f"{d.arm} against {d.reference} on corrupted images, points: {_range(d.corrupted)}"
        yield _plain(f"{d.title}: {gain}; more accurate: {d.verdict}.")
    for lost in shift.files:
        more = f"{lost.model} loses more under corruption than {lost.reference}, points: {_range(lost.more)}"
        yield _plain(f"{lost.title}: {more}; as robust: {lost.verdict}.")


def _range(evidence: Evidence) -> str:
    found = interval_of(evidence)
    return f"{words.points(found.estimate)} (95%: {words.points(found.low)} to {words.points(found.high)})"


def candidates_csv(document: dict[str, Any]) -> str:
    """One line per candidate and thread count, from the document of the report; empty cells: not measured."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for candidate in document["candidates"]:
        low, high = candidate["accuracy_ci95"] or (None, None)
        common = {**candidate, "accuracy_low": low, "accuracy_high": high, "marks": " ".join(candidate["marks"])}
        for latency in candidate["latency"] or [{}]:
            writer.writerow({**common, **latency})
    return stream.getvalue()


def model_cards(report: Report) -> dict[str, str]:
    """By file name: a card for every exported file, with the numbers that were measured of this very file."""
    by_file: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in report.candidates:
        by_file.setdefault((str(candidate.run.document["run_id"]), candidate.key), []).append(candidate)
    return {
        f"{re.sub(r'[^A-Za-z0-9._-]+', '-', run_id)}-{key}.md": _card(report, members)
        for (run_id, key), members in by_file.items()
    }


def _card(report: Report, members: Sequence[Candidate]) -> str:
    first = members[0]
    run, export = first.run.document, first.export
    data = run["dataset"]
    size = "unknown" if first.size_bytes is None else f"{first.size_bytes:,} bytes"
    parts = [
        f"# {_plain(first.title)}, seed {first.seed}",
        f"An image classifier of {plural(len(data['classes']), 'class', 'classes')}: "
        f"{_plain(', '.join(data['classes']))}.",
        _table(
            ["", ""],
            [
                ["file", f"{export.get('file', words.NONE)}, {size}"],
                ["SHA-256", str(export.get("sha256", words.NONE))],
                [
                    "input",
                    f"RGB, 0-255, {'x'.join(map(str, (run.get('model') or {}).get('input_shape', [])))}, "
                    f"resized by {export.get('resize', words.NONE)}",
                ],
                ["numbers", f"{export.get('scheme')}; operators left in float: {first.float_operators or 'all'}"],
                ["converter", " ".join(map(str, (export.get("converter") or {}).values())) or words.NONE],
                ["check", first.status + "".join(f"; {problem}" for problem in first.problems)],
            ],
        ),
        "## Measured",
        _table(["", ""], [list(row) for row in _measured(members)]) if any(c.result for c in members) else "Not yet.",
        "## Trained on",
        f"{_plain(data['name'])}, fingerprint `{data['fingerprint']}`: "
        + ", ".join(f"{sum(counts.values()):,} {split}" for split, counts in data["counts"].items())
        + f" images. {_plain(first.strategy)}, weights {(run.get('weights') or {}).get('source', 'unknown')}.",
    ]
    keras = run_score(first.run)
    if keras is not None:
        parts.append(f"The network before conversion: {_score(keras)}% of the test images.")
    if report.limits:
        parts += ["## What these numbers do not prove", "\n".join(f"- {_plain(text)}" for text in report.limits)]
    return "\n\n".join(parts) + "\n"


def _measured(members: Sequence[Candidate]) -> Iterator[tuple[str, str]]:
    for candidate in members:
        where = candidate.target or ""
        if candidate.score is not None:
            lost = "" if candidate.drop is None else f"; {words.points(candidate.drop)} points lost to the network"
            yield f"accuracy, {where}", f"{_score(candidate.score)}% of {candidate.score.n_samples:,} test images{lost}"
        for timing in candidate.timings:
            marks = f" ({', '.join(candidate.marks())})" if candidate.marks() else ""
            p50 = words.NONE if timing.p50 is None else f"{words.significant(timing.p50)} ms"
            p90 = "" if timing.p90 is None else f", p90 {words.significant(timing.p90)} ms"
            yield f"latency, {where}, {threads_text(timing.threads)}", f"p50 {p50}{p90}{marks}"
        if candidate.memory:
            yield f"memory, {where}", f"{words.megabytes(candidate.memory.get('model_rss_bytes'), 1)} MB"
        if candidate.result is not None:
            told = "not measured"
            if (energy := candidate.energy) is not None:
                told = f"{words.significant(1000 * energy.joules)} mJ a run ({energy.source})"
            yield f"energy, {where}", told
            runtime, machine = candidate.runtime, candidate.result.document["environment"]["before"].get("cpu")
            yield f"with, {where}", f"{runtime.get('name', '')} {runtime.get('version', '')} on {machine or 'unknown'}"


def _finding(finding: Any) -> str:
    names = []
    for winner in finding.winners:
        number = f" (No. {winner.number})" if winner.number else ""
        names.append(f"{winner.title}{number}{', ' if winner.figure else ''}{winner.figure}")
    parts = [part for part in ("; ".join(names), finding.figure, finding.remark) if part]
    return _plain(". ".join(f"{part[0].upper()}{part[1:]}" for part in parts))


def _claim_rows(claim: JudgedClaim) -> Iterator[list[str]]:
    """The claim with its verdict, then a row for each pair of models where there are several."""
    about = f"{claim.text}: {claim.relation}"
    if len(claim.pairs) != 1:
        told = claim.reason or f"{plural(len(claim.pairs), 'pair')}:"
        yield [about, claim.verdict, told, "", "", ""]
    for pair in claim.pairs:
        lone = len(claim.pairs) == 1
        measured, reported = (_effect(claim, *found) for found in
                              ((pair.effect, pair.ci95), (pair.reported, pair.reported_ci95)))  # fmt: skip
        more = "" if pair.more is None else f"about {pair.more.n:,} more {pair.more.unit}"
        models = f"{pair.left} against {pair.right}"
        yield [about if lone else "", claim.verdict if lone else pair.verdict, models, measured, reported, more]


def _effect(claim: JudgedClaim, value: float | None, ci95: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    interval = "" if ci95 is None else " ({:.3g} to {:.3g})".format(*ci95)
    return f"{value:.3g}{interval} {'times' if claim.unit == 'ratio' else claim.unit}"


def _group_cells(report: Report, group: Group) -> Iterator[str]:
    yield str(group.number)
    yield group.title + (f" on {group.first.target}" if len(report.targets) > 1 and group.first.target else "")
    yield str(len(group.members))
    interval = "" if group.interval is None else f" ({words.percent_range(group.interval)})"
    yield words.NONE if group.accuracy is None else f"{words.percent(group.accuracy)}{interval}"
    for threads in report.threads:
        p50 = group.p50(threads)
        yield words.NONE if p50 is None else words.significant(p50)
    yield words.megabytes(group.first.size_bytes)
    yield ", ".join([*(["front"] if report.on_front(group.first) else []), *group.marks])


def _candidate_cells(report: Report, candidate: Candidate) -> Iterator[str]:
    yield str(candidate.number)
    yield candidate.title + (f" on {candidate.target}" if len(report.targets) > 1 and candidate.target else "")
    yield str(candidate.seed)
    yield words.NONE if candidate.score is None else _score(candidate.score)
    yield words.points(candidate.drop)
    for threads in report.threads:
        timing = candidate.timing(threads)
        yield words.NONE if timing is None or timing.p50 is None else words.significant(timing.p50)
    yield words.megabytes(candidate.size_bytes)
    yield ", ".join([*(["front"] if report.on_front(candidate) else []), *candidate.marks()])


def _learned_cells(kind: LearnedKind) -> Iterator[str]:
    yield kind.title
    yield str(len(kind.seeds))
    yield words.percent(kind.validation)
    interval = "" if kind.test_ci95 is None else f" ({words.percent_range(kind.test_ci95)})"
    yield f"{words.percent(kind.test)}{interval}"
    yield words.points(kind.overfit)


def _score(score: Any) -> str:
    return words.NONE if score is None else f"{words.percent(score.accuracy)} ({words.percent_range(score.ci95)})"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Text from data as text: on one line, nothing in it means anything to Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(text).split()))
