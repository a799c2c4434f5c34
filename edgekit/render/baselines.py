"""The baselines of an audit as text."""

from __future__ import annotations

from edgekit.documents.audit import BaselineAccuracy, Baselines, SimilarityCurve
from edgekit.render.numbers import percent


def baselines_text(found: Baselines) -> str:
    """Both accuracies, and what they mean, in two sentences."""
    near, majority = found.nearest_neighbour, found.majority
    return (
        f"Without any network, predicting the class of the nearest other image ({near.size} x {near.size} grey pixels) "
        f"is correct for {percent(near.accuracy)}% of {near.n_samples:,} images, and always predicting the largest "
        f"class for {percent(majority.accuracy)}%. A network that is not clearly better than the nearest neighbour may "
        "only have learned to find similar images."
    )


def majority_text(found: BaselineAccuracy) -> str:
    """The accuracy of always predicting the largest class."""
    return (
        f"Without any network, always predicting the largest class is correct for {percent(found.accuracy)}% of "
        f"{found.n_samples:,} test images."
    )


NEAR_THE_NETWORK = 0.02
"""How far from the best network the nearest neighbour may be to be about as good."""


def as_good_text(accuracy: float, best: float) -> str:
    """What it means that the nearest neighbour is about as good as the ``best`` network, or better."""
    found = f"The nearest neighbour on pixels is correct for {percent(accuracy)}% of the test images, "
    if accuracy > best + NEAR_THE_NETWORK:
        return found + (
            f"more than the best network ({percent(best)}%): on these images, finding the most similar training image "
            "works better than any network here."
        )
    return found + (
        "about as many as the best network: these images are so close to the training images that accuracy says "
        "little about new ones."
    )


def similarity_text(found: SimilarityCurve) -> str:
    """What the curve says, and how to split by it."""
    return (
        "the largest distance at which no group of similar images holds more than "
        f"{100 * found.largest_group:.0f}% of them. data.split.groups: similar keeps such groups on one side of every "
        "split, which makes a harder test"
    )
