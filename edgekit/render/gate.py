"""Sentences about the accuracy gate of one exported file."""

from __future__ import annotations

from edgekit.documents.gate import ClassDrop, GateRecord
from edgekit.render.text import plural
from edgekit.stats.noninferiority import HELD, UNDECIDED

IMAGES = {"gate": "gate", "val": "validation", "test": "test"}
"""What the images of a split are called."""

MOST_CLASSES = 3


def gate_text(gate: GateRecord) -> str:
    """The result of the gate with its bounds, what else is beyond a limit, and what would decide it."""
    counted = (
        f"{len(gate.became_wrong)} of {plural(gate.n_samples, f'{IMAGES[gate.split]} image')} changed from correct to "
        f"wrong, {len(gate.became_right)} from wrong to correct"
    )
    parts = [
        f"the file {_loses(gate.drop_points)} points of accuracy against the Keras model "
        f"(one-sided 95% bounds {gate.lower95_points:.1f} and {gate.upper95_points:.1f}; limit: "
        f"{gate.limit_points:g}): {counted}"
    ]
    if _agreement_matters(gate):
        floor = f"{100 * gate.agreement_floor:g}%"
        parts.append(f"it predicts the same class as the Keras model for {100 * gate.agreement:.1f}% (floor: {floor})")
    parts += [_class_text(one, gate.class_limit_points) for one in gate.classes[:MOST_CLASSES]]
    if len(gate.classes) > MOST_CLASSES:
        parts.append(f"{len(gate.classes) - MOST_CLASSES} more classes lose more than that")
    if gate.chose_epoch and gate.status != HELD and gate.drop_points > 0:
        parts.append("these images also chose the best epoch, which makes a loss look larger than it is")
    return "; ".join(parts)


def undecided_text(gate: GateRecord) -> str:
    """The warning about a file whose gate is undecided."""
    return f"the accuracy gate is undecided: {gate_text(gate)}; {more_images_text(gate)}"


def more_images_text(gate: GateRecord) -> str:
    """How many more images would decide an undecided gate."""
    if gate.more_images is None:
        if gate.lower95_points <= gate.limit_points < gate.upper95_points:
            return "the loss is so close to the limit that no number of images would decide"
        return "more images may decide"
    images = plural(_rounded(gate.more_images), f"more {IMAGES[gate.split]} image")
    return f"about {images} would decide (80% power)"


def outcome_text(gate: GateRecord) -> str:
    """The verdict in one line: ``held on 1,311 test images: 0.2 points lost (at most 0.9; limit: 1)``."""
    change = f"{abs(gate.drop_points):.1f} points {'gained' if gate.drop_points < 0 else 'lost'}"
    shown = f"at most {gate.upper95_points:.1f} lost"
    if gate.lower95_points > gate.limit_points:
        shown = f"at least {gate.lower95_points:.1f}"
    parts = [
        f"{gate.status} on {plural(gate.n_samples, f'{IMAGES[gate.split]} image')}: {change} "
        f"({shown}; limit: {gate.limit_points:g})"
    ]
    if _agreement_matters(gate):
        parts.append(f"agreement {100 * gate.agreement:.1f}% (floor: {100 * gate.agreement_floor:g}%)")
    parts += [_class_text(one, gate.class_limit_points) for one in gate.classes[:1]]
    if gate.status == UNDECIDED:
        parts.append(more_images_text(gate))
    return "; ".join(parts)


def _agreement_matters(gate: GateRecord) -> bool:
    """Whether the agreement is below its floor, or is all that keeps the gate from holding."""
    only_cause = gate.upper95_points <= gate.limit_points and not gate.classes
    return gate.agreement_status != HELD and (gate.agreement < gate.agreement_floor or only_cause)


def _loses(points: float) -> str:
    return f"gains {-points:.1f}" if points < 0 else f"loses {points:.1f}"


def _class_text(one: ClassDrop, limit: float) -> str:
    return (
        f"class {one.label} loses {one.drop_points:.1f} points ({one.became_wrong} of {plural(one.n_images, 'image')} "
        f"became wrong, {one.became_right} correct; limit: {limit:g})"
    )


def _rounded(n: int) -> int:
    """With two significant digits, because it is an estimate."""
    digits = len(str(n)) - 2
    return round(n, -digits) if digits > 0 else n
