"""The report as ``report.json`` stores it. Paths are below the folder that the report is about."""

from __future__ import annotations

import os
from pathlib import Path

from edgekit.documents.report import ReportDocument
from edgekit.documents.report_comparisons import RobustnessOfRun
from edgekit.documents.report_rows import (
    ExportedFileRecord,
    LatencyRecord,
    ReportedRun,
    SeedGroup,
    SessionNoiseFloor,
    ValidityFlag,
)
from edgekit.report.model.corruption_figures import figures, pairs
from edgekit.report.model.exported_files import ExportedFile, Timing
from edgekit.report.model.groups import Group
from edgekit.report.model.operator_profiles import profile_of
from edgekit.report.model.report import Report
from edgekit.report.model.source import RunData
from edgekit.report.model.target_facts import facts_of
from edgekit.stats.calibration_bias import CalibrationError


def report_document(report: Report) -> ReportDocument:
    """The content of a report, for programs."""
    root = report.source.path
    targets = report.by_target
    shift = report.robustness
    return ReportDocument(
        kind=report.source.kind,
        name=report.source.name,
        created=report.created,
        edgekit_version=report.edgekit_version,
        recommendation=report.recommendation,
        verdict=tuple(report.findings),
        limits=tuple(report.limits),
        claims=tuple(report.claims),
        reported=tuple(report.reported),
        published=() if report.published is None else report.published.documents(),
        comparability=report.comparability,
        baselines=None if report.baselines is None else report.baselines.document(),
        audit=None if report.leaks is None else report.leaks.document(),
        efficiency={name: tuple(row.document() for row in target.efficiency) for name, target in targets.items()},
        ranking={name: target.ranking.document() for name, target in targets.items() if target.ranking is not None},
        equal_terms={name: target.equal.document() for name, target in targets.items() if target.equal is not None},
        learning_curves=None if report.learning is None else report.learning.document(),
        class_differences=tuple(comparison.document() for comparison in report.classes),
        runs=tuple(_run(run, root, report.calibration(run)) for run in report.runs),
        candidates=tuple(_exported_file(file, root, report) for file in report.files),
        groups=tuple(_group(group, on_front=report.on_front(group.first)) for group in report.groups)
        if report.means_over_seeds
        else (),
        noise_floor=_noise_floors(report),
        warnings=tuple(report.warnings),
        robustness=tuple(_robustness(run) for run in report.runs if run.corrupted),
        robustness_of_files=() if shift is None else tuple(row.document() for row in shift.files),
        robustness_of_arms=() if shift is None else tuple(row.document() for row in shift.arms),
        missing=tuple(report.missing),
    )


def _below(root: Path, path: Path) -> str:
    return Path(os.path.relpath(path.absolute(), root.absolute())).as_posix()


def _run(run: RunData, root: Path, calibration: CalibrationError | None) -> ReportedRun:
    score, test = run.score, run.test
    return ReportedRun(
        run_id=run.id,
        backbone=run.document.backbone,
        strategy=run.document.strategy,
        seed=run.seed,
        status=run.document.status,
        arm=run.arm,
        accuracy=None if score is None else score.accuracy,
        n_samples=None if score is None else score.n_samples,
        accuracy_ci95=None if score is None else score.ci95,
        macro_f1=None if test is None else test.macro_f1,
        log_loss=None if test is None else test.log_loss,
        ece=None if test is None else test.ece,
        ece_by_chance=None if calibration is None else calibration.by_chance,
        ece_corrected=None if calibration is None else calibration.estimate,
        ece_corrected_ci95=None if calibration is None else (calibration.low, calibration.high),
        parameters=run.size.parameters,
        keras_size_bytes=run.size.keras_size_bytes,
        train_seconds=run.train_seconds,
        run_dir=_below(root, run.folder.path),
    )


def _exported_file(file: ExportedFile, root: Path, report: Report) -> ExportedFileRecord:
    export, bench, score = file.export, file.bench, file.score
    facts = None if bench is None else facts_of(file, bench)
    memory = None if bench is None else bench.memory
    return ExportedFileRecord(
        number=file.number,
        run_id=file.run.id,
        backbone=file.run.document.backbone,
        strategy=file.run.document.strategy,
        arm=file.run.arm,
        seed=file.seed,
        format=export.format,
        scheme=export.scheme,
        key=file.key,
        status=file.status,
        problems=file.problems,
        marks=tuple(file.marks()),
        gate=file.gate,
        on_pareto_front=report.on_front(file),
        accuracy=None if score is None else score.accuracy,
        n_samples=None if score is None else score.n_samples,
        accuracy_ci95=None if score is None else score.ci95,
        accuracy_drop=file.drop,
        agreement_with_keras=file.agreement,
        size_bytes=export.size_bytes,
        gzip_bytes=export.gzip_bytes,
        sha256=export.sha256,
        target=file.target,
        emulated=file.emulated,
        runtime=None if file.runtime is None else file.runtime.name,
        protocol=None if bench is None else bench.protocol.name,
        session_id=None if bench is None else bench.session_id,
        baseline_rss_bytes=None if memory is None else memory.baseline_rss_bytes,
        peak_rss_bytes=file.peak_rss_bytes,
        model_rss_bytes=file.model_rss_bytes,
        joules_per_inference=file.joules,
        profile=profile_of(file),
        latency=tuple(_latency(timing, report.validity(file, timing.threads)) for timing in file.timings),
        agreement_with_host=None if facts is None else facts.agreement,
        energy=None if facts is None else facts.energy,
        sustained=None if facts is None else facts.sustained,
        result=None if file.result is None else _below(root, file.result.path),
    )


def _latency(timing: Timing, flags: tuple[ValidityFlag, ...]) -> LatencyRecord:
    return LatencyRecord(
        threads=timing.threads,
        n_runs=timing.n_runs,
        latency_ms_p50=timing.p50,
        latency_ms_p50_ci95=timing.p50_interval,
        latency_ms_p90=timing.p90,
        latency_ms_p95=timing.p95,
        latency_ms_p95_ci95=timing.p95_interval,
        latency_ms_p99=timing.p99,
        load_ms=timing.load,
        first_ms=timing.first,
        preprocess_ms_p50=timing.preprocess,
        postprocess_ms_p50=timing.postprocess,
        unstable=timing.unstable,
        validity=flags,
    )


def _group(group: Group, *, on_front: bool) -> SeedGroup:
    first = group.first
    return SeedGroup(
        number=group.number,
        title=group.title,
        backbone=first.run.document.backbone,
        strategy=first.run.document.strategy,
        arm=first.run.arm,
        format=first.export.format,
        scheme=first.export.scheme,
        key=first.key,
        size_bytes=group.size_bytes,
        target=group.target,
        marks=tuple(group.marks),
        on_pareto_front=on_front,
        seeds=tuple(member.seed for member in group.members),
        accuracy_mean=group.accuracy,
        accuracy_sd=group.deviation,
        accuracy_ci95=group.interval,
        latency_ms_p50={str(timing.threads): group.p50(timing.threads) for timing in first.timings},
    )


def _noise_floors(report: Report) -> tuple[SessionNoiseFloor, ...]:
    found = []
    for (session_id, threads), noise in report.comparisons.sessions.items():
        record = noise.record()
        first = record.controls[0]
        found.append(
            SessionNoiseFloor(
                session_id=session_id,
                threads=threads,
                model=first.model,
                ratio=first.ratio,
                ratio_ci95=first.ratio_ci95,
                n_rounds=first.n_rounds,
                controls=record.controls,
                floor=record.floor,
            )
        )
    return tuple(found)


def _robustness(run: RunData) -> RobustnessOfRun:
    return RobustnessOfRun(
        run_id=run.id,
        models=tuple(figures(model) for model in run.corrupted),
        paired=tuple(pairs(run.corrupted)),
    )
