"""What a reader must know beside the numbers: what they do not prove, what went wrong, what is not there yet."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from edgekit.documents.bench import BenchResult
from edgekit.documents.export import ExportDocument, RepairRecord
from edgekit.render.exports import repair_text, training_text
from edgekit.render.numbers import count, listing, percent
from edgekit.report.model.groups import Group
from edgekit.report.model.reading import RunData, Source
from edgekit.report.model.rows import Candidate, model_title, outdated, run_score
from edgekit.report.model.sessions import noise_floors, not_worth_it, worth_text


def limits(source: Source, groups: Sequence[Group], audited: str | None = None) -> list[str]:
    """What the numbers do not prove, in sentences; ``audited`` is what an audit found of the test images."""
    runs = source.runs
    if not groups and all(run_score(run) is None for run in runs):
        return []
    results = [m.result for group in groups for m in group.members if m.result is not None]
    return [
        *_of_seeds(runs, groups),
        *_of_left_out(groups),
        *_of_overrides(source),
        *_of_test_images(runs, groups),
        *_of_latency(results),
        *_of_machines(results),
        audited
        or "Whether test images also stand in the training split (the same picture, or nearly the same) is not checked "
        "here (edgekit data audit does); where they do, every accuracy above is too high.",
    ]


def _of_seeds(runs: Sequence[RunData], groups: Sequence[Group]) -> Iterator[str]:
    seeds = sorted({int(run.document["seed"]) for run in runs})
    if not groups or max(len(group.members) for group in groups) == 1:
        told = f"seed {seeds[0]}" if len(seeds) == 1 else "one seed each"
        yield f"Every network was trained once ({told}). Another seed may change accuracies, and with them the order."
    else:
        most = max(len(group.members) for group in groups)
        yield f"Accuracies are means over up to {most} seeds; the interval over so few seeds is wide."


def _of_left_out(groups: Sequence[Group]) -> Iterator[str]:
    for group in groups:
        if group.left_out:
            seeds = listing([str(candidate.seed) for candidate in group.left_out], 6)
            n = len(group.left_out)
            yield (
                f"{group.title} (No. {group.number}): {'the file' if n == 1 else 'the files'} of seed {seeds} failed "
                f"{'its' if n == 1 else 'their'} check and {'is' if n == 1 else 'are'} not in the mean, which may "
                "look better for it."
            )


def _of_overrides(source: Source) -> Iterator[str]:
    recipe = (source.study or {}).get("recipe") or {}
    trained = {run.document["backbone"] for run in source.runs}
    for backbone, settings in (recipe.get("compare") or {}).get("overrides", {}).items():
        if backbone not in trained:
            continue
        told = ", ".join(f"{key} {value}" for key, value in settings.items())
        yield f"{model_title({'backbone': backbone})} was trained with settings of its own: {told}."


def _of_test_images(runs: Sequence[RunData], groups: Sequence[Group]) -> Iterator[str]:
    scores = [m.score for group in groups for m in group.members if m.score is not None]
    scores = scores or [score for run in runs if (score := run_score(run)) is not None]
    if not scores:
        return
    widest = max(scores, key=lambda score: score.ci95[1] - score.ci95[0])
    half = (widest.ci95[1] - widest.ci95[0]) / 2
    counts = sorted({score.n_samples for score in scores})
    images = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    yield (
        f"Accuracy was measured on {images} test images, which fixes it to about ±{percent(half)} points "
        "(Wilson 95% interval) for images like these, and says nothing about others."
    )


def _of_latency(results: Sequence[BenchResult]) -> Iterator[str]:
    if not results:
        return
    floors = noise_floors(results)
    if not floors:
        yield "No file was measured twice (A/A control), so the noise of the latencies is unknown."
        return
    by_threads: dict[int, float] = {}
    for (_, threads), (_, _, floor) in floors.items():
        by_threads[threads] = max(floor.high, by_threads.get(threads, 1.0))
    told = listing([f"{percent(factor - 1)}% with {count(n, 'thread')}" for n, factor in sorted(by_threads.items())], 6)
    yield (
        f"One file measured as if it were two (A/A control) differed from itself by up to {told}: "
        "smaller differences in latency are no difference."
    )
    if len({session for session, _ in floors}) > 1:
        yield "The files were measured in several sessions; only those of one session were interleaved."


def _of_machines(results: Sequence[BenchResult]) -> Iterator[str]:
    real = {str(cpu) for r in results if not r.document["emulated"] and (cpu := environment(r).get("cpu"))}
    if real:
        yield f"Latency and memory hold for {listing(sorted(real))}; another processor may give another order."
    if any(result.document["emulated"] for result in results):
        yield "Times marked emulated are an emulator's, not the device's; they are in no comparison and no figure."


def environment(result: BenchResult) -> dict[str, Any]:
    """The machine before the measurement."""
    before: dict[str, Any] = result.document["environment"]["before"]
    return before


def warnings(source: Source, candidates: Sequence[Candidate]) -> list[tuple[str, list[str]]]:
    """Every warning once, with the names of what it is about."""
    found: dict[str, list[str]] = {}
    for text, about in _warnings(source, candidates):
        names = found.setdefault(text, [])
        if about not in names:
            names.append(about)
    return list(found.items())


def _warnings(source: Source, candidates: Sequence[Candidate]) -> Iterator[tuple[str, str]]:
    for name, problem in source.troubled_cells:
        yield problem, name
    for run in source.runs:
        yield from _of_run(run)
    for candidate in candidates:
        yield from _of_candidate(candidate)
    measured = {candidate.result.id: candidate for candidate in candidates if candidate.result is not None}
    for entry in not_worth_it([candidate.result for candidate in measured.values() if candidate.result is not None]):
        candidate = measured[entry["model"]]
        yield f"not worth it: {worth_text(entry)}", f"{candidate.title} (No. {candidate.number})"


def _of_run(run: RunData) -> Iterator[tuple[str, str]]:
    run_id = str(run.document["run_id"])
    if run.document.get("status") != "done":
        yield "training is not finished", run_id
    for text in run.document.get("warnings", []):
        yield str(text), run_id
    exports = {folder.key: export for folder, export in run.exports}
    for result, _ in run.results:
        export = exports.get(str(result.document["key"]))
        if export is None:
            yield "was measured, but its export is no longer there; left out", result.id
        elif outdated(result, export):
            yield "was exported again after it was measured; the old measurement is left out", result.id


def _of_candidate(candidate: Candidate) -> Iterator[tuple[str, str]]:
    about = f"{candidate.title} (No. {candidate.number})"
    for problem in candidate.problems:
        yield f"failed: {problem}" if candidate.failed else problem, about
    if candidate.export.get("repair"):
        yield f"repaired: {repair_text(RepairRecord.model_validate(candidate.export['repair']))}", about
    if candidate.export.get("training"):
        yield training_text(ExportDocument.parse(candidate.export, about)), about
    if candidate.not_integer:
        yield "int8, but some operators still compute in floats", about
    for timing in candidate.timings:
        for reason in timing.unstable:
            yield f"unstable with {count(timing.threads, 'thread')}, so not compared: {reason}", about
    measured = candidate.result.document["warnings"] if candidate.result else []
    for text in [*candidate.export.get("warnings", []), *measured]:
        yield str(text), about


def missing(source: Source, candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """What is not there yet: a sentence, and the command that makes it (or an empty string)."""
    found: list[tuple[str, str]] = []
    if source.study is not None and (source.unfinished or not source.runs):
        again = f"edgekit compare RECIPE --out {shlex.quote(str(source.path))}"
        cells = count(len(source.study["cells"]), "cell")
        told = f"{source.unfinished} of {cells} not trained yet; what is done is kept."
        found.append((told if source.runs else "No run of this study has been trained yet.", again))
    for run in source.runs:
        place, name = shlex.quote(run.place), run.document["run_id"]
        mine = [candidate for candidate in candidates if candidate.run is run]
        good = [candidate for candidate in mine if not candidate.failed]
        if run.document.get("status") != "done" and source.study is not None:
            continue  # the study's own command trains it
        if run.document.get("status") != "done":
            found.append((f"Training of {name} is not finished.", f"edgekit train --run {place} --resume"))
        elif not mine:
            found.append((f"{name} has no exported files.", f"edgekit export {place}"))
        elif good and all(candidate.result is None for candidate in good):
            found.append((f"No file of {name} has been measured.", f"edgekit bench {place}"))
        else:
            left = [candidate.key for candidate in good if candidate.result is None]
            if left:
                found.append((f"{listing(left, 6)} of {name} not measured yet.", f"edgekit bench {place}"))
            unscored = [c.key for c in good if c.result is not None and c.score is None]
            if unscored:
                found.append((f"{listing(unscored, 6)} of {name} measured without accuracy.", f"edgekit bench {place}"))
    return found
