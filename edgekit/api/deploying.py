"""Exported files on a target without edgekit, and in a program of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.api.folders import AnyPath, folder_of, path_of
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.bench.deploy import Deployment
    from edgekit.bench.samples import Sample
    from edgekit.documents.run import RunDocument


def deploy(
    model: RunDocument | AnyPath,
    target: str,
    *,
    export: str | None = None,
    name: str | None = None,
    update: bool = False,
    data: AnyPath | None = None,
    labels: AnyPath | None = None,
    scaling: str | None = None,
    resize: str | None = None,
    filter: str | None = None,
    preset: str | None = None,
    image_size: str | None = None,
    output: str | None = None,
    activation: str | None = None,
    progress: Progress = SILENT,
) -> Deployment:
    """Copy a model and a standalone runner to a target, as ``edgekit deploy`` does.

    Args:
        model: A run, or a ``.tflite`` or ``.onnx`` file.
        target: Name of the target.
        export: Exported file of the run, such as ``tflite-int8``. Default: the only one.
        name: Name of the folder on the target. Default: run and exported file.
        update: Replace an existing deployment in one step, and only by a model that gives its golden outputs there.
        data: Labelled images for the drift check. Default: the test split of the run.
        labels, scaling, resize, filter, preset, image_size, output, activation: For a third-party model, as in
            :func:`bench`.

    Returns:
        The folder on the target, the command that classifies an image there, and the check of the golden outputs. An
        update that was refused has a reason in ``rejected``.

    Raises:
        InputError: The model or an option is invalid, or there are several exported files to choose from.
        TargetError: The target cannot be reached or is not set up.
    """
    from edgekit.bench.deploy import deploy as copy
    from edgekit.bench.third_party import ThirdPartyOptions

    return copy(
        folder_of(model),
        target=target,
        export=export,
        name=name,
        update=update,
        data=path_of(data),
        third_party=ThirdPartyOptions(
            path_of(labels), scaling, resize, None, filter, image_size, output, activation, preset
        ),
        progress=progress,
    )


def sample_program(
    run: RunDocument | AnyPath,
    language: str,
    folder: AnyPath,
    *,
    export: str | None = None,
    progress: Progress = SILENT,
) -> Sample:
    """Write a minimal program around an exported file, as ``edgekit deploy --sample`` does.

    Args:
        run: A run with exported files.
        language: ``python``, ``c``, ``javascript`` or ``kotlin``.
        folder: A new or empty folder.
        export: Exported file of the run, such as ``tflite-int8``. Default: the only one that the language can run.
        progress: Receives messages.

    Returns:
        The folder, the name of the model in it, and the names of all files.

    Raises:
        InputError: An option is invalid, the folder is not empty, or there are several exported files to choose from.
    """
    from edgekit.bench.samples import write_sample

    return write_sample(folder_of(run), language, expanded(folder), export=export, progress=progress)
