"""The verbs in the order of the work. One file each; nothing heavy is imported here or there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

VERBS: tuple[tuple[str, Callable[..., Any]], ...] = ()
