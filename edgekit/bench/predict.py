"""`edgekit predict`: the classes of some images according to one model, on this machine or a target."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.bench.inspection import assumptions, inspected, with_runtime
from edgekit.bench.model_collection import collect_models
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.device.images import IMAGE_SUFFIXES
from edgekit.device.protocol.jobs import PredictJob
from edgekit.device.protocol.verbs import PREDICT
from edgekit.documents.preprocessing import PreprocessingRecord
from edgekit.errors import InputError
from edgekit.support.paths import expanded
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
    :class:`InputError` for a file that is not a model, a missing image, a float input with unknown scaling, and if no
    image can be read.
    """
    _check_model(model)
    paths = image_files(images)
    result = Predictions()
    with contextlib.closing(get_target(target, progress)) as machine:
        models = collect_models([model], third_party or ThirdPartyOptions(), progress, results=False)
        models = with_runtime(models, runtime, machine)
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
    if not result.found:
        image, reason = next(iter(result.unreadable.items()))
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        raise InputError(reason, where=f"{image}{more}")
    return replace(result, preprocessing=opened.preprocessing)


def image_files(images: Sequence[Path]) -> list[Path]:
    """The absolute paths of image files, with those below each folder; :class:`InputError` if one is missing."""
    missing = [image for image in images if not expanded(image).exists()]
    if missing:
        raise InputError("no such image file or folder", where=", ".join(map(str, missing[:5])))
    found: list[Path] = []
    for image in images:
        path = expanded(image).absolute()
        files = sorted(_below(path)) if path.is_dir() else [path]
        if not files:
            raise InputError(
                "this folder contains no images",
                where=str(image),
                hint=f"images are files that end in {', '.join(sorted(IMAGE_SUFFIXES))}",
            )
        found += files
    return list(dict.fromkeys(found))


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                yield path


def _check_model(model: Path) -> None:
    if model.is_dir():
        raise InputError(
            "this is a folder, not a model file",
            where=str(model),
            hint="pass one file, such as RUN/exports/tflite-int8/model.tflite",
        )
    if not model.is_file():
        raise InputError("no such model file", where=str(model), hint="pass a .tflite, .onnx or .ncnn file")


def _named(image: Path, probabilities: list[float], labels: tuple[str, ...] | None) -> Prediction:
    names = labels or tuple(str(number) for number in range(len(probabilities)))
    if len(names) != len(probabilities):
        raise InputError(f"{len(names)} labels do not fit {len(probabilities)} outputs")
    ranked = sorted(zip(names, probabilities), key=lambda pair: -pair[1])
    return Prediction(image, tuple(ranked))
