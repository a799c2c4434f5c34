"""Shared by all export formats: facts about a file before it is made, and the protocol that its maker implements.

This module imports no maker. The table of makers is :mod:`edgekit.export.makers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]
"""Class probabilities (N, classes)."""


@dataclass(frozen=True)
class ExportFacts:
    """What an exported file says about itself in its metadata."""

    title: str
    run_id: str
    backbone: str
    labels: list[str]
    image_size: int
    resize: str
    pixel_range: str = "full"


@dataclass(frozen=True)
class OperatorTable:
    """Number of operators by name; ``floats`` are those with a floating-point tensor on either side."""

    counts: dict[str, int]
    floats: dict[str, int]

    @property
    def integer_only(self) -> bool:
        return not self.floats


@dataclass(frozen=True)
class ActivationRange:
    """The range that a quantized tensor can hold, and its step. ``layer`` is its Keras layer where known."""

    tensor: str
    layer: str | None
    low: float
    high: float
    step: float


ActivationReader = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]
"""Takes one image uint8 (H, W, 3) and returns the values of certain tensors; several threads may call it."""


class Maker(Protocol):
    """Makes the files of one format from one network. Steps that several schemes need are done once."""

    def make(self, scheme: str) -> bytes:
        """The file of one scheme, with its metadata. Takes uint8 (1, H, W, 3) RGB 0-255."""

    def opset(self) -> int | None:
        """The version of the operator set, where the format has one."""

    def converter(self, scheme: str) -> tuple[str, str]:
        """Name and version of the program that makes the file."""

    def operators(self, content: bytes) -> OperatorTable:
        """The operators of a file."""

    def release(self) -> None:
        """Forget steps that hold all weights. They are done again if another file needs them."""


class QuantizingMaker(Maker, Protocol):
    """A maker that quantizes the network itself, so single layers can stay in float and ranges can be inspected."""

    def quantizable_layers(self) -> list[str]:
        """The Keras layers that int8 quantizes, in the network's order."""

    def with_float_layers(self, layers: frozenset[str], scheme: str = "int8") -> bytes:
        """The file of the int8 ``scheme`` in which ``layers`` compute in float."""

    def activation_ranges(self, content: bytes) -> list[ActivationRange]:
        """The range of every quantized activation of an int8 file, in the order of the file."""

    def activation_reader(self, names: list[str]) -> ActivationReader:
        """Reads the tensors ``names`` of the float network."""


MakerClass = Callable[..., Maker]
"""Takes the :class:`TrainedNetwork`, calibration images uint8 (N, H, W, 3), :class:`ExportFacts`, the recipe's export
section, and the makers of the formats that its table entry names."""
