"""Which runs of a report can be compared: accuracies on the same test images, latencies of the same session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.documents.report_findings import Comparability, SameSession, SameTestImages
from edgekit.render.text import listing, plural
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.source import RunData, Source

_MOST_NAMES = 6


@dataclass(frozen=True)
class _Tested:
    """Runs that were tested on the same images; none is tested where ``images`` is empty."""

    images: frozenset[str]
    runs: list[RunData]


def comparability(source: Source, files: Sequence[ExportedFile]) -> Comparability | None:
    """What compares with what; None for a single run, and for a study of which everything compares."""
    if len(source.runs) < 2:
        return None
    tested = _by_test_images(source.runs, files)
    sessions = _by_session(files)
    sentences = [*_of_images(tested), *_of_sessions(sessions, files)]
    whole = len(tested) == 1 and all(len(found) == 1 for found in _per_target(sessions).values())
    if whole and not source.collected:
        return None
    return Comparability(
        test_images=tuple(
            SameTestImages(run_ids=tuple(run.id for run in found.runs), n_images=len(found.images)) for found in tested
        ),
        sessions=tuple(
            SameSession(
                session_id=session,
                target=target,
                run_ids=tuple(dict.fromkeys(file.run.id for file in members)),
                numbers=tuple(file.number for file in members),
            )
            for (target, session), members in sessions.items()
        ),
        sentences=tuple(sentences),
    )


def _by_test_images(runs: Sequence[RunData], files: Sequence[ExportedFile]) -> list[_Tested]:
    """The runs by what they were tested on, the largest set of runs first; runs that were not tested come last."""
    found: dict[frozenset[str], list[RunData]] = {}
    for run in runs:
        mine = next((file.correct for file in files if file.run is run and file.correct), run.correct)
        found.setdefault(frozenset(run.correct or mine), []).append(run)
    tested = [_Tested(images, members) for images, members in found.items()]
    return sorted(tested, key=lambda one: (not one.images, -len(one.runs), -len(one.images)))


def _by_session(files: Sequence[ExportedFile]) -> dict[tuple[str, str], list[ExportedFile]]:
    """The files with a latency by target and session, the session of most files first."""
    found: dict[tuple[str, str], list[ExportedFile]] = {}
    for file in files:
        if file.bench is not None and file.timings:
            found.setdefault((file.bench.target, file.bench.session_id), []).append(file)
    return dict(sorted(found.items(), key=lambda entry: -len(entry[1])))


def _per_target(sessions: dict[tuple[str, str], list[ExportedFile]]) -> dict[str, list[list[ExportedFile]]]:
    found: dict[str, list[list[ExportedFile]]] = {}
    for (target, _), members in sessions.items():
        found.setdefault(target, []).append(members)
    return found


def _names(runs: Sequence[RunData]) -> str:
    return listing(list(dict.fromkeys(run.id for run in runs)), _MOST_NAMES)


def _of_images(tested: Sequence[_Tested]) -> list[str]:
    scored = [one for one in tested if one.images]
    unscored = [run for one in tested if not one.images for run in one.runs]
    sentences = []
    if len(scored) == 1 and len(scored[0].runs) > 1:
        n = len(scored[0].runs)
        which = "All runs" if not unscored else f"{n} runs"
        sentences.append(
            f"{which} were tested on the same {len(scored[0].images):,} images, so their accuracies can be compared."
        )
    elif len(scored) > 1:
        sets = "; ".join(f"{_names(one.runs)} ({plural(len(one.images), 'image')})" for one in scored)
        sentences.append(
            f"The runs were tested on different images; compare accuracies only within each of these sets: {sets}."
        )
        shared = frozenset.intersection(*(one.images for one in scored))
        if shared:
            sentences.append(f"The sets have {plural(len(shared), 'image')} in common.")
    if unscored:
        sentences.append(f"Not tested: {_names(unscored)}.")
    return sentences


def _of_sessions(sessions: dict[tuple[str, str], list[ExportedFile]], files: Sequence[ExportedFile]) -> list[str]:
    sentences = []
    targets = _per_target(sessions)
    for target, found in targets.items():
        where = f" on {target}" if len(targets) > 1 or target != "local" else ""
        if len(found) == 1:
            if len(found[0]) > 1:
                sentences.append(f"All latencies{where} were measured in one session, so they can be compared.")
            continue
        sets = "; ".join(_names([file.run for file in members]) for members in found)
        sentences.append(
            f"Latencies{where} were measured in {len(found)} sessions; compare them only within each of these sets: "
            f"{sets}. To compare all, pass all runs to one `edgekit bench` command."
        )
    untimed = [file.run for file in files if not file.timings]
    timed = {file.run.id for file in files if file.timings}
    rest = [run for run in untimed if run.id not in timed]
    if rest:
        sentences.append(f"No latency was measured for {_names(rest)}.")
    return sentences
