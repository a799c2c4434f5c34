"""`edgekit predict`: the classes of some images according to one model, on this machine or a target."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.bench.inspection import assumptions, inspected, with_runtime, with_target_runtime
from edgekit.bench.model_collection import collect_models
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.device.images import IMAGE_SUFFIXES
from edgekit.device.protocol.jobs import PredictJob
from edgekit.device.protocol.verbs import PREDICT
from edgekit.documents.preprocessing import PreprocessingRecord
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


@dataclass(frozen=True)
class Prediction:
    """One image: every class with its probability, most probable first."""

    image: Path
    classes: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Predictions:
    """The images that could be read, in order, and for each of the others the reason."""

    found: list[Prediction] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)
    preprocessing: PreprocessingRecord | None = None
    """How the images reached a third-party model; None for an exported file of a run."""


def predict(
    model: Path,
    images: Sequence[Path],
    *,
    third_party: ThirdPartyOptions | None = None,
    runtime: str | None = None,
    target: str = LOCAL,
    progress: Progress = SILENT,
) -> Predictions:
    """Classify ``images`` with one exported file or third-party model. Classes without a name are numbered.

    A folder stands for the images in it and below. An image that cannot be read does not end the others. Raises
    :class:`InputError` for a file that is not a model, an image that does not exist, or a float input with unknown
    scaling.
    """
    if not model.is_file():
        raise InputError("no such model file", where=str(model), hint="pass a .tflite or .onnx file")
    paths = image_files(images)
    result = Predictions()
    with contextlib.closing(get_target(target, progress)) as machine:
        models = collect_models([model], third_party or ThirdPartyOptions(), progress, writes=False)
        models = with_runtime(with_target_runtime(models, machine.runtime), runtime)
        (opened,), _ = inspected(machine, models, scored=True)
        for text in assumptions(opened):
            progress.info(f"{opened.id}: {text}")
        job = PredictJob(models=[opened.job()], threads=0, files=[str(path) for path in paths])
        with progress.bar("predict", len(paths)) as bar:
            for event in machine.run(PREDICT, job):
                if event["event"] == "prediction":
                    result.found.append(_named(paths[event["number"]], event["probabilities"], opened.labels))
                    bar.advance()
                elif event["event"] == "unreadable":
                    result.unreadable[paths[event["number"]]] = event["reason"]
                    bar.advance()
    return replace(result, preprocessing=opened.preprocessing)


def image_files(given: Sequence[Path]) -> list[Path]:
    """The image files that ``given`` stands for: files themselves, and all images in folders and below, sorted.

    Raises :class:`InputError` for a path that does not exist, and for a folder without images.
    """
    missing = [path for path in given if not path.expanduser().exists()]
    if missing:
        raise InputError("no such image file or folder", where=", ".join(map(str, missing[:5])))
    found: list[Path] = []
    for path in (one.expanduser().absolute() for one in given):
        if path.is_file():
            found.append(path)
            continue
        inside = [
            Path(place, name)
            for place, _, names in os.walk(path)
            for name in names
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        ]
        if not inside:
            raise InputError("there are no images in this folder", where=str(path))
        found += sorted(inside)
    return list(dict.fromkeys(found))


def _named(image: Path, probabilities: list[float], labels: tuple[str, ...] | None) -> Prediction:
    names = labels or tuple(str(number) for number in range(len(probabilities)))
    if len(names) != len(probabilities):
        raise InputError(f"{len(names)} labels do not fit {len(probabilities)} outputs")
    ranked = sorted(zip(names, probabilities), key=lambda pair: -pair[1])
    return Prediction(image, tuple(ranked))
