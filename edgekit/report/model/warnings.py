"""The warnings of training, export and bench, each once with everything it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.documents.report_findings import WarningRecord
from edgekit.render.exports import repair_text, training_text
from edgekit.render.gate import gate_text
from edgekit.render.text import plural
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.exported_files import ExportedFile, outdated
from edgekit.report.model.sessions import no_benefit_text, without_benefit
from edgekit.report.model.source import RunData, Source
from edgekit.stats.noninferiority import FAILED


def warnings(source: Source, files: Sequence[ExportedFile], comparisons: Comparisons) -> list[WarningRecord]:
    """Every warning once, with the names of what it is about."""
    found: dict[str, dict[str, None]] = {}
    for text, about in _warnings(source, files, comparisons):
        found.setdefault(text, {})[about] = None
    return [WarningRecord(text=text, about=tuple(about)) for text, about in found.items()]


def _warnings(source: Source, files: Sequence[ExportedFile], comparisons: Comparisons) -> Iterator[tuple[str, str]]:
    for cell in source.troubled_cells:
        yield cell.problem, cell.run
    for run in source.runs:
        yield from _of_run(run)
    for file in files:
        yield from _of_file(file)
    measured = {file.result.id: file for file in files if file.result is not None}
    for entry in without_benefit(comparisons.results, comparisons.sessions):
        text = no_benefit_text(entry)
        yield f"no measurable benefit: {text}" if entry.decided else text, measured[entry.model].named


def _of_run(run: RunData) -> Iterator[tuple[str, str]]:
    if not run.document.done:
        yield "training is not finished", run.id
    for text in run.document.warnings:
        yield text, run.id
    exports = {export.key: export for export in run.exports}
    for result, _ in run.results:
        export = exports.get(result.bench.export_key)
        if export is None:
            yield "was measured, but its export no longer exists; the measurement is left out", result.id
        elif outdated(result, export):
            yield "was exported again after it was measured; the old measurement is left out", result.id


_ARM = ("aarch64", "arm")


def _for_another_processor(file: ExportedFile) -> str | None:
    """Which ONNX int8 file is made for the processor that ran this one, if that is another."""
    architecture = None if file.bench is None else file.bench.environment.before.architecture
    if architecture is None or (file.runtime is not None and file.runtime.name != "onnxruntime"):
        return None
    on_arm = architecture.startswith(_ARM)
    if file.export.key == "onnx-int8" and on_arm:
        return "has uint8 activations, for x86; for Arm, also measure onnx-int8-s8s8 (edgekit export --int8-s8s8)"
    if file.export.key == "onnx-int8-s8s8" and not on_arm:
        return "has int8 activations, for Arm; on x86, onnx-int8 is usually faster"
    return None


def _of_file(file: ExportedFile) -> Iterator[tuple[str, str]]:
    export, about = file.export, file.named
    for problem in file.problems:
        yield f"failed: {problem}" if file.failed else problem, about
    if export.repair is not None:
        yield f"repaired: {repair_text(export.repair, export.gate)}", about
    if export.training is not None:
        yield training_text(export), about
    if file.not_integer:
        yield "int8, but some operators still compute in float", about
    other = _for_another_processor(file)
    if other is not None:
        yield other, about
    judged = None if file.bench is None else file.bench.gate
    if judged is not None and judged.status == FAILED:
        yield f"on the test split, {gate_text(judged)}", about
    for text in () if file.bench is None else file.bench.incomplete:
        yield f"partial: the benchmark has not measured everything yet ({text})", about
    for timing in file.timings:
        for reason in timing.unstable:
            yield f"unstable with {plural(timing.threads, 'thread')}, so not compared: {reason}", about
    for text in (*export.warnings, *(() if file.bench is None else file.bench.warnings)):
        yield text, about
