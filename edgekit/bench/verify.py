"""`edgekit verify`: whether exported files give the golden outputs on a target, too."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgekit.bench.inspection import inspected, with_runtimes
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.model_collection import collect_models
from edgekit.bench.own_golden import with_own_golden
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.device.golden import problem_of
from edgekit.device.protocol.events import UnverifiedEvent, VerifiedEvent
from edgekit.device.protocol.jobs import VerifyJob
from edgekit.device.protocol.verbs import VERIFY
from edgekit.documents.bench import RuntimeRecord
from edgekit.documents.verification import VerificationRecord
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import Target
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


def verify(
    paths: Sequence[Path],
    *,
    target: str = LOCAL,
    runtime: str | None = None,
    third_party: ThirdPartyOptions | None = None,
    progress: Progress = SILENT,
) -> list[VerificationRecord]:
    """Check every export of ``paths`` on ``target`` against the golden outputs that `edgekit export` stored.

    A third-party model is compared with what it predicts on this machine. Raises :class:`InputError` for an exported
    file without golden outputs, and for a third-party model on this machine.
    """
    with contextlib.closing(get_target(target, progress)) as machine, tempfile.TemporaryDirectory() as scratch:
        models = collect_models(paths, third_party or ThirdPartyOptions(), progress, results=False)
        for model in models:
            if model.run is None and target == LOCAL:
                raise InputError(
                    "a third-party model is verified against this machine",
                    where=str(model.path),
                    hint="choose another machine with --target NAME",
                )
            if model.run is not None and not model.golden.is_file():
                raise InputError(
                    "this file has no golden outputs", where=str(model.path), hint="`edgekit export` creates them"
                )
        models = with_runtimes(models, runtime, machine)
        models, _ = inspected(machine, models, scored=any(model.run is None for model in models))
        models = [with_own_golden(model, Path(scratch)) if model.run is None else model for model in models]
        return verify_models(machine, models)


def verify_models(target: Target, models: Sequence[MeasuredModel]) -> list[VerificationRecord]:
    """Check models that are already collected and inspected."""
    job = VerifyJob(
        models=[model.job() for model in models],
        golden={model.id: str(model.golden) for model in models},
        threads=1,
    )
    found = []
    for event in target.run(VERIFY, job):
        if event["event"] == "verified" or event["event"] == "failed":
            found.append(_judged(event))
    return found


def _judged(event: VerifiedEvent | UnverifiedEvent) -> VerificationRecord:
    runtime = RuntimeRecord.model_validate(event["runtime"])
    if event["event"] == "failed":
        return VerificationRecord(id=event["key"], runtime=runtime, problem=event["reason"])
    predicted, expected = event["predicted"], event["expected"]
    return VerificationRecord(
        id=event["key"],
        n_inputs=len(predicted),
        n_same=sum(a == b for a, b in zip(predicted, expected)),
        max_difference=max(event["differences"]),
        runtime=runtime,
        problem=problem_of(event),
    )
