"""What a plan needs on this machine, verified before slow work starts."""

from __future__ import annotations

import importlib.util

from edgekit.device.failures import MissingRuntimeError
from edgekit.device.runtimes import default_runtime
from edgekit.errors import InputError
from edgekit.export.makers import MAKERS
from edgekit.export.plan import ExportPlan
from edgekit.export.tflite import edge_quantizer
from edgekit.recipe import Export
from edgekit.support.frameworks import need_model_optimization


def need_tools(plan: ExportPlan, settings: Export) -> None:
    """Raise :class:`InputError`, naming the command that installs it, if a package for the plan is missing."""
    if any(scheme.compression for scheme in plan.schemes):
        need_model_optimization()
    if any(scheme.source for scheme in plan.schemes) and _missing("tf2onnx"):
        raise InputError("int8-tflite needs tf2onnx, which is not installed", hint="pip install tf2onnx")
    quantized = any(scheme.format == "tflite" and scheme.precision in ("int8", "dynamic") for scheme in plan.schemes)
    if quantized and settings.quantizer == edge_quantizer.NAME and _missing(edge_quantizer.MODULE):
        raise InputError(
            "export.quantizer is ai-edge-quantizer, which is not installed",
            hint="pip install 'edgekit[quantizer]', or --quantizer converter",
        )
    for file_format in sorted(plan.formats):
        _need_format(file_format)


def _need_format(file_format: str) -> None:
    entry = MAKERS[file_format]
    for module in entry.modules:
        if _missing(module):
            raise InputError(f".{file_format} files need {module}, which is not installed", hint=entry.install)
    try:
        default_runtime(file_format)
    except MissingRuntimeError as error:
        raise InputError(f"{error.reason}, so exported files cannot be verified", hint=entry.install) from None


def _missing(module: str) -> bool:
    return importlib.util.find_spec(module) is None
