"""The probabilities in a job's events: unpacked, and checked to be probabilities."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgekit.targets.event_shapes import InvalidAnswer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLACK = 1e-3
"""By how much probabilities may leave 0 to 1, because of rounding."""
SLACK_8_BIT = 0.05
"""The same for outputs of the model itself, which may be 8-bit numbers with a coarse scale."""


def unpacked_probabilities(event: Mapping[str, Any]) -> NDArray[np.float32]:
    """The probabilities (count, classes) of a ``predictions`` event, refused if they have another length."""
    import numpy as np

    try:
        content = base64.b64decode(event["probabilities_b64"], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidAnswer("predictions are not base64") from None
    if len(content) != 4 * event["count"] * event["classes"]:
        raise InvalidAnswer(f"predictions of {event['key']} have a wrong length")
    return np.frombuffer(content, "<f4").reshape(event["count"], event["classes"])


def check_probabilities(rows: NDArray[np.float32], key: str, softmax: bool) -> None:
    """Raise :class:`InvalidAnswer` unless ``rows`` (N, classes) are probabilities.

    ``softmax``: the device made probabilities of the model's output itself, so they add up to 1.
    """
    import numpy as np

    slack = SLACK if softmax else SLACK_8_BIT
    if not np.isfinite(rows).all() or rows.min() < -slack or rows.max() > 1 + slack:
        raise InvalidAnswer(f"a probability of {key} is not between 0 and 1")
    if softmax and np.abs(rows.sum(axis=1, dtype=np.float64) - 1).max() > 10 * SLACK:
        raise InvalidAnswer(f"the probabilities of {key} do not add up to 1")
