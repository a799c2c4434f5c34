"""The networks that a search considers, and what they take as far as a table can tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from edgekit.documents.study import CandidateRecord
from edgekit.errors import InputError
from edgekit.recipe import Constraint, Recipe
from edgekit.registry import get_backbone, get_scheme

USUAL = ("mobilenetv2", "mobilenet", "mobilenetv3small")
ALPHAS = (1.0, 0.75, 0.5, 0.35)
SMALLER = 0.7
"""The second image size of the default, as a share of the recipe's."""

OPTIMISM = 0.8
"""A size that is estimated from a table is dropped only if this share of it exceeds the limit."""

BYTES = {"fp32": 4, "fp16": 2}
"""Of a weight, by scheme; 1 for all others."""


def candidates(recipe: Recipe) -> list[CandidateRecord]:
    """Every combination that the recipe asks for, the smallest network of each backbone first.

    Raises :class:`InputError` if no combination is possible.
    """
    wanted = recipe.choose
    own = recipe.model.backbone
    backbones = wanted.backbones or recipe.compare.backbones or list(dict.fromkeys([own, *USUAL]))
    sizes = wanted.image_sizes or [recipe.data.image_size, _rounded(SMALLER * recipe.data.image_size)]
    found = []
    for backbone in dict.fromkeys(backbones):
        entry = get_backbone(backbone)
        usable = sorted({size for size in sizes if size >= entry.min_image_size})
        made = [_candidate(entry.name, alpha, size) for alpha, size in product(_alphas(recipe, backbone), usable)]
        found += sorted(made, key=lambda candidate: (candidate.macs or 0, candidate.image_size))
    if not found:
        raise InputError(
            "the search has no candidates: no backbone accepts any of its image sizes",
            where=recipe.name,
            hint="set choose.image_sizes or choose.backbones",
        )
    return found


def _alphas(recipe: Recipe, backbone: str) -> list[float]:
    known = get_backbone(backbone).alphas
    if not known:
        return [1.0]
    wanted = sorted(set(recipe.choose.alphas or ALPHAS))
    if recipe.model.weights == "none":
        return wanted
    return [alpha for alpha in wanted if alpha in known]


def _candidate(backbone: str, alpha: float, size: int) -> CandidateRecord:
    entry = get_backbone(backbone)
    pixels = (size / 224) ** 2
    return CandidateRecord(
        backbone=backbone,
        arm=f"w{round(100 * alpha):03d}-{size}px",
        alpha=alpha,
        image_size=size,
        # Both the inputs and the outputs of a layer shrink with the width.
        macs=round(entry.macs * alpha**2 * pixels) or None,
        parameters=round(entry.parameters * alpha**2) or None,
    )


def too_large(candidate: CandidateRecord, recipe: Recipe, limits: Constraint) -> str | None:
    """Why no file of a network can meet the limit on the size; None if one may."""
    if limits.max_size_mb is None or candidate.parameters is None:
        return None
    smallest = min(_bytes_per_weight(key) for key in recipe.export.files)
    size_mb = candidate.parameters * smallest / 1e6
    if OPTIMISM * size_mb <= limits.max_size_mb:
        return None
    return f"too large: about {size_mb:.1f} MB, estimated from its number of weights"


def too_slow(candidate: CandidateRecord, smaller: Sequence[CandidateRecord], limits: Constraint) -> str | None:
    """Why no file can meet the limit on latency, judging by a smaller network of the same backbone that was probed."""
    limit = limits.max_latency_ms
    for other in smaller:
        fits = other.backbone == candidate.backbone and other.alpha <= candidate.alpha
        if fits and other.image_size <= candidate.image_size and _is_too_slow(other) and limit is not None:
            return f"too slow: {other.title}, which is smaller, takes more than {limit:g} ms"
    return None


def _is_too_slow(candidate: CandidateRecord) -> bool:
    return bool(candidate.files) and all("latency" in file.fails for file in candidate.files)


def _bytes_per_weight(key: str) -> int:
    return BYTES.get(get_scheme(key).precision, 1)


def _rounded(size: float) -> int:
    """To a multiple of 32, which every backbone divides without a rest; at least 32."""
    return max(32, round(size / 32) * 32)


def search_settings(recipe: Recipe, chosen: Sequence[CandidateRecord]) -> dict[str, object]:
    """The section ``compare`` of a study of ``chosen``."""
    return {
        **recipe.compare.model_dump(mode="json"),
        "backbones": list(dict.fromkeys(candidate.backbone for candidate in chosen)),
        "strategies": [recipe.train.strategy],
        "seeds": [recipe.train.seed],
        "arms": {c.arm: {"model.alpha": c.alpha, "data.image_size": c.image_size} for c in chosen},
        "pairs": [[candidate.backbone, candidate.arm] for candidate in chosen],
    }
