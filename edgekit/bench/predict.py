"""`edgekit predict`: what an exported file says about some images, on this machine or a target."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.model_inspection import inspected, with_runtime, with_target_runtime
from edgekit.bench.models import ForeignOptions, collect
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
    foreign: ForeignOptions | None = None,
    runtime: str | None = None,
    target: str = LOCAL,
    progress: Progress = SILENT,
) -> list[Prediction]:
    """Classify ``images`` with one exported or foreign file; classes without a name are called by their number.

    Raises :class:`InputError` for a file that is no model, an image that cannot be read, or a float input whose
    scaling nobody knows.
    """
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise InputError("there is no such image", where=", ".join(map(str, missing[:5])))
    if not model.is_file():
        raise InputError("there is no such model file", where=str(model), hint="give a .tflite or .onnx file")
    paths = [image.expanduser().absolute() for image in images]
    found = []
    with contextlib.closing(get_target(target, progress)) as machine:
        candidates = collect([model], foreign or ForeignOptions(), progress)
        candidates = with_runtime(with_target_runtime(candidates, machine.runtime), runtime)
        (candidate,), _ = inspected(machine, candidates, scored=True)
        job = {"models": [candidate.job()], "threads": 0, "files": [str(path) for path in paths]}
        with progress.bar("predict", len(paths)) as bar:
            for event in machine.run("predict", job):
                if event["event"] == "prediction":
                    found.append(_named(Path(event["file"]), event["probabilities"], candidate.labels))
                    bar.advance()
    return found


def _named(image: Path, probabilities: list[float], labels: tuple[str, ...] | None) -> Prediction:
    names = labels or tuple(str(number) for number in range(len(probabilities)))
    if len(names) != len(probabilities):
        raise InputError(f"{len(names)} labels do not fit {len(probabilities)} outputs")
    ranked = sorted(zip(names, probabilities), key=lambda pair: -pair[1])
    return Prediction(image, tuple(ranked))
