"""The backbones that tests run with: the small ones always, the others with the slow tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from edgekit.registry import BACKBONES

FAST = ("mobilenetv2", "mobilenetv3small")


def backbones(fast: Sequence[str] = FAST, only: Sequence[str] = tuple(BACKBONES)) -> list[Any]:
    """Every backbone of the table as a parameter of a test, slow unless it is in ``fast``."""
    return [pytest.param(name, marks=[] if name in fast else [pytest.mark.slow]) for name in only]
