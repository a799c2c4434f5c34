"""Which files are made, and how they are calibrated and judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edgekit.recipe.compress import Clustering, Pruning, Qat
from edgekit.recipe.section import Section, unknown_name
from edgekit.registry import SCHEMES


class Calibration(Section):
    """Images that show the int8 converters the range of values; always from the training split."""

    images: Annotated[int, Field(ge=1)] = 200
    seed: int = 0
    method: Literal["minmax", "percentile", "entropy"] = "minmax"
    """How a range follows from the values that were seen. Which files can have which: ``edgekit list formats``."""
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.99
    """With ``method: percentile``: this share of the values, in percent, lies within the range."""


class Export(Section):
    """Which files are made of the trained network."""

    files: list[str] = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]
    calibration: Calibration = Calibration()
    quantizer: Literal["converter", "ai-edge-quantizer"] = "converter"
    """What quantizes ``tflite-int8`` and ``tflite-dynamic``. Measured (benchmarks/quantizers.py): equally good in int8;
    the converter's dynamic files of MobileNetV2 are faster and closer to Keras."""
    parity_images: Annotated[int, Field(ge=1)] = 400
    """At most so many validation images on which every file is compared with the Keras model."""
    max_drop: Annotated[float, Field(ge=0, le=100)] | None = 1.0
    """Points of accuracy that a file with smaller numbers than fp32 may lose on them; ``null``: any."""
    sensitivity: bool = False
    """Rank the layers by what quantizing each alone does to the answers (int8 files; minutes)."""
    repair: bool = False
    """Keep the costliest layers of an int8 file in float where it loses more than ``max_drop``; where that does not
    help, a file of quantization-aware training is made beside it."""
    qat: Qat = Qat()
    pruning: Pruning = Pruning()
    clustering: Clustering = Clustering()

    @field_validator("files")
    @classmethod
    def _known_schemes(cls, value: list[str]) -> list[str]:
        for key in value:
            if key not in SCHEMES:
                raise ValueError(unknown_name("export", key, list(SCHEMES)))
        return list(dict.fromkeys(value))

    @model_validator(mode="after")
    def _ranges_that_can_be_had(self) -> Export:
        method = self.calibration.method
        for key in self.files:
            choices = SCHEMES[key].calibration_methods
            if choices and method not in choices:
                others = [name for name, scheme in SCHEMES.items() if method in scheme.calibration_methods]
                raise ValueError(
                    f"{key} cannot be calibrated by {method} (choices: {', '.join(choices)}; "
                    f"{method} is for {', '.join(others)})"
                )
        return self
