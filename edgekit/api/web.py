"""Exported files in a web page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekit.api.folders import AnyPath, folder_of, path_of
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.bench.web_page import WebDeployment
    from edgekit.documents.run import RunDocument


def web_page(
    model: RunDocument | AnyPath,
    folder: AnyPath,
    *,
    exports: Sequence[str] = (),
    title: str | None = None,
    runtime_dir: AnyPath | None = None,
    labels: AnyPath | None = None,
    scaling: str | None = None,
    resize: str | None = None,
    filter: str | None = None,
    preset: str | None = None,
    image_size: str | None = None,
    output: str | None = None,
    activation: str | None = None,
    progress: Progress = SILENT,
) -> WebDeployment:
    """Write a static page that classifies pictures in the browser, as ``edgekit deploy --target web`` does.

    Args:
        model: A run with ONNX files, or an ``.onnx`` file.
        folder: Folder to write the page to: new, empty, or an earlier page.
        exports: Exported files of the run. Default: ``onnx-int8`` and ``onnx-fp32``, as far as the run has them.
        title: Title of the page.
        runtime_dir: Folder with the npm package ``onnxruntime-web``. Default: it is downloaded once.
        labels, scaling, resize, filter, preset, image_size, output, activation: For a third-party model, as in
            :func:`bench`.

    Returns:
        The folder, the size of the page in bytes, and whether the golden outputs agree in a browser of this machine.

    Raises:
        InputError: The model or an option is invalid, or the folder contains anything but a page.
        EdgekitError: The runtime cannot be downloaded.
    """
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.bench.web_page import deploy_page

    return deploy_page(
        [folder_of(model)],
        expanded(folder),
        exports=exports,
        title=title,
        runtime_dir=path_of(runtime_dir),
        third_party=ThirdPartyOptions(
            path_of(labels), scaling, resize, None, filter, image_size, output, activation, preset
        ),
        progress=progress,
    )
