"""Exported files: measuring them and classifying images with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.api.folders import AnyPath, folder_of, path_of
from edgekit.errors import EdgekitError
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.bench.predict import Prediction
    from edgekit.documents.bench import BenchResult
    from edgekit.documents.run import RunDocument


@dataclass(frozen=True)
class BenchOutcome:
    """The results of a benchmark."""

    results: tuple[BenchResult, ...]
    """One for each file and target."""
    errors: Mapping[str, EdgekitError]
    """Why a target measured nothing, by its name. Empty with a single target, whose error is raised."""


def bench(
    models: RunDocument | AnyPath | Sequence[RunDocument | AnyPath],
    *,
    targets: str | Sequence[str] = "local",
    protocol: str | None = None,
    threads: Sequence[int] | None = None,
    data: AnyPath | None = None,
    images: int | None = None,
    runtime: str | Sequence[str] | None = None,
    sustained_s: float | None = None,
    profile: bool = False,
    pin: bool = False,
    tune: bool = False,
    rate_hz: float | None = None,
    latency: bool = True,
    labels: AnyPath | None = None,
    scaling: str | None = None,
    resize: str | None = None,
    filter: str | None = None,
    preset: str | None = None,
    image_size: str | None = None,
    output: str | None = None,
    activation: str | None = None,
    out: AnyPath | None = None,
    progress: Progress = SILENT,
) -> BenchOutcome:
    """Measure latency, memory, size and accuracy of exported files, all in one session.

    An interrupted call keeps every finished block and every scored image; the same call continues it.

    Args:
        models: Runs, whose exported files are measured, or ``.tflite`` and ``.onnx`` files.
        targets: Name of a target, or several names.
        protocol: ``quick``, ``standard``, ``full`` or ``check``. Default: the recipe's, else ``standard``.
        threads: Thread counts; 0 is all cores. Default: the recipe's, else 1 and 0.
        data: Where the run's images are now. For a third-party model: a folder of classes to score it on.
        images: Score on at most this many test images; 0 measures no accuracy.
        runtime: Runtime to use, or several to measure each file with; ``all`` for those that the target has.
        sustained_s: Also run each file continuously for this many seconds.
        profile: Also measure the time of each kind of operator.
        pin: Pin each process to as many cores as it has threads, if the target allows it.
        tune: Also look for the fastest setting (runtime, threads, pinning, options of the runtime) of each file that
            gives the same predictions, and confirm it against the default. Takes up to three times as long.
        rate_hz: Start so many runs per second of each file, as a camera would. Default: one after the other.
        latency: If false, only score the test images. Calling this again without it measures the rest.
        labels: For a third-party model: file with its class names (one per line, JSON or CSV).
        scaling: For a third-party model: input scaling.
        resize: For a third-party model: how images are resized.
        filter: For a third-party model: filter for resizing, such as ``bicubic``.
        preset: For a third-party model: preprocessing of a known source, such as ``teachable-machine``.
        image_size: For a third-party model with a dynamic input: ``224``, or ``224x160`` (height x width).
        output: For a third-party model with several outputs: name or number of the one with the scores.
        activation: For a third-party model: ``softmax``, ``sigmoid`` or ``none``. Default: read from the file.
        out: For a third-party model: folder for the results. Default: beside the model.

    Raises:
        InputError: A model or a setting is invalid. Raised before anything is measured.
        TargetError: No target could be reached or prepared.
    """
    from edgekit.bench.multi_target import bench_targets
    from edgekit.bench.settings import BenchOptions
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.documents.run import RunDocument

    options = BenchOptions(
        protocol=protocol,
        threads=None if threads is None else tuple(threads),
        data=path_of(data),
        images=images,
        runtime=runtime if runtime is None or isinstance(runtime, str) else ",".join(runtime),
        sustained_s=sustained_s,
        profile=profile,
        pin=pin,
        tune=tune,
        rate_hz=rate_hz,
        latency=latency,
        third_party=ThirdPartyOptions(
            path_of(labels), scaling, resize, path_of(out), filter, image_size, output, activation, preset
        ),
    )
    chosen = [models] if isinstance(models, str | Path | RunDocument) else models
    paths = [folder_of(one) for one in chosen]
    names = [targets] if isinstance(targets, str) else list(targets)
    results, errors = bench_targets(paths, names, options, progress)
    return BenchOutcome(tuple(results), errors)


def predict(
    model: AnyPath,
    images: AnyPath | Sequence[AnyPath],
    *,
    target: str = "local",
    runtime: str | None = None,
    labels: AnyPath | None = None,
    scaling: str | None = None,
    resize: str | None = None,
    filter: str | None = None,
    preset: str | None = None,
    image_size: str | None = None,
    output: str | None = None,
    activation: str | None = None,
    progress: Progress = SILENT,
) -> list[Prediction]:
    """Classify images with an exported file.

    Args:
        model: A ``.tflite`` or ``.onnx`` file.
        images: An image file or a folder of images, or several. An image that cannot be read is left out, with a
            warning.
        target: Name of the target to run on.
        runtime: Runtime to use.
        labels, scaling, resize, filter, preset, image_size, output, activation: For a third-party model, as in
            :func:`bench`.

    Returns:
        For each image that can be read, every class with its probability, the most probable first.

    Raises:
        InputError: The model cannot be read, an image is missing, no image can be read, or the scaling of a third-party
            model is unknown.
    """
    from edgekit.bench.predict import predict as classify
    from edgekit.bench.third_party import ThirdPartyOptions

    files = [images] if isinstance(images, str | Path) else images
    predictions = classify(
        expanded(model),
        [expanded(image) for image in files],
        third_party=ThirdPartyOptions(
            path_of(labels), scaling, resize, None, filter, image_size, output, activation, preset
        ),
        runtime=runtime,
        target=target,
        progress=progress,
    )
    for image, reason in predictions.unreadable.items():
        progress.warn(f"{image} cannot be read: {reason}")
    return predictions.found
