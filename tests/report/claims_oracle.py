"""Verdicts on claims a second time: slowly, with other code, from the files of a study and the docs' rules alone.

What is fast and shared in the package is plain loops here: sides are matched pair by pair, intervals are written out as
sums, and Holm's correction is the closed test over all subsets of claims.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path

import numpy as np
from scipy import stats

from edgekit.documents.folders import RunFolder
from edgekit.documents.study import StudyDocument
from edgekit.recipe import Claim

ALPHA = 0.05
COUNTED = ("size_bytes", "parameters")
Table = dict[int, dict[str, float]]
"""By seed and image."""


@dataclass
class Side:
    """One kind of model, or of exported file: what there is of it, and whether something planned is missing."""

    kind: tuple[str, str, str | None]
    file: str | None
    correct: Table = field(default_factory=dict)
    losses: Table = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    counted: dict[str, float] = field(default_factory=dict)
    cells: int = 0
    there: int = 0


def sides_of(study: Path) -> list[Side]:
    """Every kind of network and of exported file that the study planned."""
    document = StudyDocument.read(study / "study.json")
    found: dict[tuple[object, str | None], Side] = {}
    for cell in document.cells:
        kind = (cell.backbone, cell.strategy, cell.arm)
        run = RunFolder(study / cell.run)
        for file in (None, *document.recipe.export.files):
            side = found.setdefault((kind, file), Side(kind, file))
            side.cells += 1
            if cell.status == "failed":
                continue
            if file is None:
                add_network(side, run, cell.seed)
            else:
                add_file(side, run, file, cell.seed)
    return list(found.values())


def add_network(side: Side, run: RunFolder, seed: int) -> None:
    record = run.read_run()
    side.correct[seed], side.losses[seed] = predicted(run.predictions)
    side.there += 1
    side.seconds.append(record.timing.train_seconds or 0.0)
    side.counted["parameters"] = record.model.parameters


def add_file(side: Side, run: RunFolder, file: str, seed: int) -> None:
    record = run.export(file).read_export()
    if record.status != "ok":
        return
    side.there += 1
    side.counted.setdefault("size_bytes", record.size_bytes)
    side.correct[seed], _ = predicted(run.bench_json("local", file).parent / f"{file}-predictions.npz")


def predicted(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    with np.load(path) as stored:
        labels, probabilities, files = (stored[name].tolist() for name in ("labels", "probabilities", "files"))
    correct, losses = {}, {}
    for label, row, file in zip(labels, probabilities, files):
        correct[file] = float(row.index(max(row)) == label)
        losses[file] = -math.log(max(row[label], 1e-7))
    return correct, losses


def matched(claim: Claim, sides: list[Side]) -> list[tuple[Side, Side]]:
    """Every pair that the claim is about."""
    of_files = claim.metric in ("latency", "size_bytes") or claim.left.file is not None
    pairs = []
    for a in sides:
        for b in sides:
            if a is b or (a.file is not None) != of_files:
                continue
            if claim.right.file == "keras":
                if b.file is not None:
                    continue
            elif (b.file is not None) != of_files or not fits(b.file, claim.right.file or a.file):
                continue
            if all(map(fits, (*a.kind, a.file), (*wanted(claim, a), claim.left.file))) and opposes(claim, a, b):
                pairs.append((a, b))
    return pairs


def wanted(claim: Claim, _: Side) -> tuple[str | None, str | None, str | None]:
    return claim.left.backbone, claim.left.strategy, claim.left.arm


def fits(value: str | None, asked: str | None) -> bool:
    return asked is None or value == asked


def opposes(claim: Claim, a: Side, b: Side) -> bool:
    right = claim.right
    if right.backbone == "others":
        if a.kind[0] == b.kind[0]:
            return False
    elif b.kind[0] != (right.backbone or a.kind[0]):
        return False
    if b.kind[1] != (right.strategy or a.kind[1]):
        return False
    return fits(b.kind[2], right.arm or a.kind[2])


def whole(side: Side, metric: str) -> bool:
    """Whether everything planned is there; what does not depend on the seed needs one seed only."""
    return side.there == side.cells if metric not in (*COUNTED, "latency") else side.there > 0


def interval(claim: Claim, a: Side, b: Side, level: float) -> tuple[float, float] | None:
    """The interval of the effect with confidence 1 - level; None without one."""
    if claim.metric in COUNTED:
        effect = math.log(a.counted[claim.metric] / b.counted[claim.metric])
        return effect, effect
    if claim.metric == "train_seconds":
        x, y = ([math.log(value) for value in side.seconds] for side in (a, b))
        if min(len(x), len(y)) < 2:
            return None
        found = stats.ttest_ind(x, y, equal_var=False).confidence_interval(1 - level)
        return float(found.low), float(found.high)
    tables = (a.correct, b.correct) if claim.metric == "accuracy" else (a.losses, b.losses)
    seeds = shared(*tables)
    images = list(tables[0][seeds[0]])
    rows = [[tables[0][seed][image] - tables[1][seed][image] for image in images] for seed in seeds]
    bounded = claim.metric == "accuracy"
    if len(seeds) == 1 or claim.about == "networks":
        return of_networks(rows, bounded, level)
    return of_methods(rows, bounded, level)


def shared(a: Table, b: Table) -> list[int]:
    return [seed for seed in a if seed in b]


def of_networks(rows: list[list[float]], bounded: bool, level: float) -> tuple[float, float]:
    values = [sum(column) / len(rows) for column in zip(*rows)]
    if not bounded:
        found = stats.t.interval(1 - level, len(values) - 1, np.mean(values), stats.sem(values))
        return float(found[0]), float(found[1])
    values += [1.0, -1.0]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    half = stats.norm.ppf(1 - level / 2) * math.sqrt(variance / len(values))
    return max(-1.0, mean - half), min(1.0, mean + half)


def of_methods(rows: list[list[float]], bounded: bool, level: float) -> tuple[float, float]:
    """Student's half width over seeds and the normal one over images, added as squares."""
    s, n = len(rows), len(rows[0])
    by_seed = [sum(row) / n for row in rows]
    by_image = [sum(column) / s for column in zip(*rows)]
    mean = sum(by_seed) / s
    of_seeds = sum((value - mean) ** 2 for value in by_seed) / (s - 1) / s
    own = sum((rows[i][j] - by_seed[i] - by_image[j] + mean) ** 2 for i in range(s) for j in range(n))
    own /= (s - 1) * (n - 1)
    values = by_image + ([1.0, -1.0] if bounded else [])
    centre = sum(values) / len(values)
    gross = sum((value - centre) ** 2 for value in values) / len(values) / len(values)
    net = max(0.0, gross - own / s / n)
    t, z = stats.t.ppf(1 - level / 2, s - 1), stats.norm.ppf(1 - level / 2)
    half = max(math.sqrt(t * t * of_seeds + z * z * net), z * math.sqrt(gross))
    low, high = centre - half, centre + half
    return (max(-1.0, low), min(1.0, high)) if bounded else (low, high)


def where(claim: Claim, bounds: tuple[float, float] | None) -> str:
    """``in``, ``out`` or ``both``, by the table of relations in the docs."""
    if bounds is None:
        return "both"
    low, high = bounds
    difference = claim.metric in ("accuracy", "loss")
    if difference:
        margin = (claim.margin or 0.0) / (100 if claim.metric == "accuracy" else 1)
    else:
        margin = math.log(claim.margin or 1.0)
    if claim.relation == "above":
        return "in" if low > margin else "out" if high <= margin else "both"
    if claim.relation == "below":
        return "in" if high < -margin else "out" if low >= -margin else "both"
    if claim.relation == "not-below":
        return "in" if low >= -margin else "out" if high < -margin else "both"
    if claim.relation == "not-above":
        return "in" if high <= margin else "out" if low > margin else "both"
    if -margin <= low and high <= margin:
        return "in"
    return "out" if high < -margin or low > margin else "both"


def decision(claim: Claim, sides: list[Side], level: float) -> str | None:
    """What the claim alone is decided to be at a level."""
    pairs = matched(claim, sides)
    incomplete = not pairs
    deciding = []
    for a, b in pairs:
        if not (whole(a, claim.metric) and whole(b, claim.metric)) or one_seed(claim, a, b):
            incomplete = True
        else:
            deciding.append((a, b))
    strict = level if claim.metric in COUNTED else level / max(1, len(deciding))
    if any(where(claim, interval(claim, a, b, strict)) == "out" for a, b in deciding):
        return "refuted"
    if not incomplete and all(where(claim, interval(claim, a, b, level)) == "in" for a, b in deciding):
        return "supported"
    return None


def one_seed(claim: Claim, a: Side, b: Side) -> bool:
    tables = (a.losses, b.losses) if claim.metric == "loss" else (a.correct, b.correct)
    return claim.metric in ("accuracy", "loss") and claim.about == "methods" and len(shared(*tables)) < 2


def verdicts(claims: list[Claim], study: Path) -> list[str]:
    """Of all claims of a recipe. A claim is decided where every set of claims that it is in holds a decided one, at the
    level that is divided by the size of the set: the closed test whose shortcut is Holm's procedure."""
    sides = sides_of(study)
    family = [i for i, claim in enumerate(claims) if claim.metric not in COUNTED]
    sets = list(chain.from_iterable(combinations(family, size) for size in range(1, len(family) + 1)))
    known: dict[tuple[int, int], str | None] = {}

    def at(i: int, size: int) -> str | None:
        if (i, size) not in known:
            known[i, size] = decision(claims[i], sides, ALPHA / size)
        return known[i, size]

    found = []
    for i, claim in enumerate(claims):
        holds = all(any(at(j, len(chosen)) for j in chosen) for chosen in sets if i in chosen)
        alone = decision(claim, sides, ALPHA)
        found.append(alone if alone is not None and (claim.metric in COUNTED or holds) else "undecided")
    return found
