"""The sections of a report, in the order of the page. A new section is one module, one template and one entry here."""

from __future__ import annotations

from edgekit.report.sections import (
    audit,
    checks,
    claims,
    classes,
    corrupted,
    efficiency,
    environment,
    exported_files,
    front,
    int8_layers,
    latency,
    learning,
    operators,
    published,
    ranking,
    reproduce,
    runs,
    seeds,
    size,
    targets,
    verdict,
    warnings,
)
from edgekit.report.sections.section import AnySection

SECTIONS: tuple[AnySection, ...] = (
    verdict.SECTION,
    claims.SECTION,
    seeds.SECTION,
    exported_files.SECTION,
    ranking.SECTION,
    front.SECTION,
    size.SECTION,
    efficiency.SECTION,
    audit.SECTION,
    learning.SECTION,
    classes.SECTION,
    runs.SECTION,
    corrupted.SECTION,
    latency.SECTION,
    targets.SECTION,
    checks.SECTION,
    int8_layers.SECTION,
    operators.SECTION,
    published.SECTION,
    environment.SECTION,
    warnings.SECTION,
    reproduce.SECTION,
)
