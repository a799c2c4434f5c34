"""`edgekit predict`: the classes of some images according to one model, on this machine or a target."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.inspection import inspected, with_runtime, with_target_runtime
from edgekit.bench.measured_model import ThirdPartyOptions
from edgekit.bench.model_collection import collect_models
from edgekit.device.protocol.jobs import PredictJob
from edgekit.device.protocol.verbs import PREDICT
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


@dataclass(frozen=True)
class Prediction:
    """One image: every class with its probability, most probable first."""

    image: Path
    classes: tuple[tuple[str, float], ...]


def predict(
    model: Path,
    images: Sequence[Path],
    *,
    third_party: ThirdPartyOptions | None = None,
    runtime: str | None = None,
    target: str = LOCAL,
    progress: Progress = SILENT,
) -> list[Prediction]:
    """Classify ``images`` with one exported file or third-party model. Classes without a name are numbered.

    Raises :class:`InputError` for a file that is not a model, an image that cannot be read, or a float input with
    unknown scaling.
    """
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise InputError("no such image file", where=", ".join(map(str, missing[:5])))
    if not model.is_file():
        raise InputError("no such model file", where=str(model), hint="pass a .tflite or .onnx file")
    paths = [image.expanduser().absolute() for image in images]
    found = []
    with contextlib.closing(get_target(target, progress)) as machine:
        models = collect_models([model], third_party or ThirdPartyOptions(), progress)
        models = with_runtime(with_target_runtime(models, machine.runtime), runtime)
        (opened,), _ = inspected(machine, models, scored=True)
        job = PredictJob(models=[opened.job()], threads=0, files=[str(path) for path in paths])
        with progress.bar("predict", len(paths)) as bar:
            for event in machine.run(PREDICT, job):
                if event["event"] == "prediction":
                    found.append(_named(Path(event["file"]), event["probabilities"], opened.labels))
                    bar.advance()
    return found


def _named(image: Path, probabilities: list[float], labels: tuple[str, ...] | None) -> Prediction:
    names = labels or tuple(str(number) for number in range(len(probabilities)))
    if len(names) != len(probabilities):
        raise InputError(f"{len(names)} labels do not fit {len(probabilities)} outputs")
    ranked = sorted(zip(names, probabilities), key=lambda pair: -pair[1])
    return Prediction(image, tuple(ranked))
