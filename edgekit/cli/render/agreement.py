"""Whether a target predicts the same as this machine, as bench prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgekit.documents.bench import BenchResult, HostAgreement

SHOWN = 5


def agreement_text(results: Sequence[BenchResult], names: Mapping[str, str]) -> str:
    """How many images get the same class as on this machine, and the first of those that do not."""
    lines = [
        line
        for result in results
        if result.bench.accuracy is not None and (found := result.bench.accuracy.agreement_with_host) is not None
        for line in _lines(names[result.id], found)
    ]
    return "\n".join(["same class as on this machine, with the same file", *lines]) if lines else ""


def _lines(name: str, found: HostAgreement) -> Iterator[str]:
    scores = f"scores within {found.max_difference:.2g}" if found.max_difference else "equal scores"
    yield f"  {name}: {found.n_same} of {found.n_images} images, {scores}"
    for image in found.differing[:SHOWN]:
        yield f"    {image.file}: {image.here} here, {image.there} there"
    if len(found.differing) > SHOWN:
        yield f"    and {len(found.differing) - SHOWN} more (in the result file)"
