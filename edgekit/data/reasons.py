"""Lists of images with the reasons why they cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


def listing(reasons: Mapping[str, str], most: int = 10) -> str:
    """The first ``most`` images with their reasons, one per line; of more images, also how often each reason occurs."""
    lines = [f"  - {path}: {reason}" for path, reason in list(reasons.items())[:most]]
    if len(reasons) > most:
        lines.append(f"  and {len(reasons) - most:,} more (edgekit data audit --json lists all); the reasons are")
        causes = Counter(reasons.values()).most_common()
        lines += [f"  - {count:,} x {reason}" for reason, count in causes[:most]]
        if len(causes) > most:
            lines.append(f"  and {len(causes) - most:,} more")
    return "\n".join(lines)
