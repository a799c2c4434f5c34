"""The baselines of an audit as text."""

from __future__ import annotations

from edgekit.documents.audit import Baselines
from edgekit.render.numbers import percent


def baselines_text(found: Baselines) -> str:
    """Both accuracies, and what they mean, in two sentences."""
    near, majority = found.nearest_neighbour, found.majority
    return (
        f"Without any network, the class of the nearest other image ({near.size} x {near.size} grey pixels) is correct "
        f"for {percent(near.accuracy)}% of {near.n_samples:,} images, and always naming the largest class for "
        f"{percent(majority.accuracy)}%. A network that does not clearly exceed the nearest neighbour may only have "
        "learned to find similar images."
    )
