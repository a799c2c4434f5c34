"""Which files are exported, and how they are calibrated and checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edgekit.recipe.compress import Clustering, Pruning, Qat
from edgekit.recipe.section import Count, Section, Seed, known_name
from edgekit.registry import SCHEMES


class Calibration(Section):
    """Images from the training split that determine the quantization ranges of int8 files."""

    images: Count = 200
    """Number of calibration images (at least 1)."""
    seed: Seed = 0
    """Seed of the choice of images (0 to 2**31 - 1)."""
    method: Literal["minmax", "percentile", "entropy"] = "minmax"
    """How a quantization range follows from the observed values. ``edgekit list formats`` shows which files support
    which method."""
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.99
    """With ``method: percentile``: percentage of the values that lie within the range (above 50, up to 100)."""


class Export(Section):
    """Which files are exported from the trained network, and how they are checked."""

    files: Annotated[list[str], Field(max_length=100)] = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]
    """Exported files as ``format-scheme``. ``edgekit list formats`` shows all of them."""
    calibration: Calibration = Calibration()
    """How int8 files are calibrated."""
    quantizer: Literal["converter", "ai-edge-quantizer"] = "converter"
    """Which tool quantizes ``tflite-int8`` and ``tflite-dynamic``. Both are equally good at int8; for dynamic files of
    MobileNetV2, the TFLite converter is faster and closer to Keras (``benchmarks/quantizers.py``)."""
    parity_images: Count | None = None
    """Upper limit on the images on which each file is compared with the Keras model (at least 1). ``null`` uses all
    images of the gate split, or all validation images where the run has no gate split."""
    max_drop: Annotated[float, Field(ge=0, le=100)] | None = 1.0
    """Accuracy gate: how many points of accuracy a file of lower precision than fp32 may lose on those images (0 to
    100). The file passes if the upper 95% bound of its loss is at most this. ``null`` switches the gate off."""
    min_agreement: Annotated[float, Field(ge=0, le=100)] = 90.0
    """Accuracy gate: percentage of those images for which a file must predict the same class as the Keras model (0 to
    100), unless ``max_drop`` allows that more predictions change."""
    max_class_drop: Annotated[float, Field(ge=0, le=100)] = 10.0
    """Accuracy gate: how many points of accuracy a single class may lose (0 to 100; at least ``max_drop`` applies)."""
    sensitivity: bool = False
    """Rank the layers of int8 files by how much quantizing each one alone changes the predictions (takes minutes)."""
    repair: bool = False
    """If an int8 file loses more than ``max_drop``, keep its most sensitive layers in float. If that is not enough,
    export a file from quantization-aware training as well."""
    qat: Qat = Qat()
    """Settings of quantization-aware training."""
    pruning: Pruning = Pruning()
    """Settings of pruning."""
    clustering: Clustering = Clustering()
    """Settings of weight clustering."""

    @field_validator("files")
    @classmethod
    def _known_schemes(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(known_name("exported file", key, SCHEMES) for key in value))

    @model_validator(mode="after")
    def _calibration_method_fits(self) -> Export:
        method = self.calibration.method
        for key in self.files:
            choices = SCHEMES[key].calibration_methods
            if choices and method not in choices:
                others = [name for name, scheme in SCHEMES.items() if method in scheme.calibration_methods]
                raise ValueError(
                    f"{key} cannot be calibrated with {method!r} (choices: {', '.join(choices)}); "
                    f"{method!r} is available for {', '.join(others)}"
                )
        return self
