"""Which exported files a browser can run."""

from __future__ import annotations

from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.settings import BenchOptions
from edgekit.errors import InputError
from edgekit.support.progress import Progress
from edgekit.targets.base import WEB, WEB_FORMAT


def check_web_options(options: BenchOptions) -> None:
    """Raise :class:`InputError` for what a browser cannot measure, if it is the target."""
    if options.target != WEB:
        return
    for name, given in (
        ("--sustained", options.sustained_s is not None),
        ("--profile", options.profile),
        ("--runtime", options.runtime is not None),
        ("--tune", options.tune),
    ):
        if given:
            raise InputError(f"{name} is not available for the target {WEB!r}", hint="leave it out")


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
