"""Which exported files a browser can run."""

from __future__ import annotations

from edgekit.bench.measured_model import MeasuredModel
from edgekit.errors import InputError
from edgekit.support.progress import Progress

WEB_FORMAT = "onnx"


def for_web(models: list[MeasuredModel], progress: Progress) -> list[MeasuredModel]:
    """The models that a browser can run: those in ONNX format. The others are left out, with a message.

    Raises :class:`InputError` if there are none.
    """
    kept = [model for model in models if model.format == WEB_FORMAT]
    if not kept:
        run = models[0].run
        raise InputError(
            "a browser runs ONNX files only, and there are none among these files",
            where=str(models[0].path if run is None else models[0].folder),
            hint=None if run is None else f"edgekit export {models[0].folder} --format onnx --fp32 --int8",
        )
    if len(kept) < len(models):
        left = ", ".join(model.key for model in models if model not in kept)
        progress.info(f"left out, because a browser runs ONNX files only: {left}")
    return kept
