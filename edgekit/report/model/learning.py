"""Learning curves over seeds: the runs of one kind of model together, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from markupsafe import Markup

from edgekit.report.model.reading import RunData
from edgekit.report.model.rows import model_title, run_score, strategy_title
from edgekit.report.render.figures import seed_bands
from edgekit.stats.intervals import mean_interval

QUANTITIES = ("accuracy", "loss")


@dataclass(frozen=True)
class Spread:
    """One quantity after one epoch, over all seeds. ``epoch`` counts over all stages, from 1."""

    epoch: int
    mean: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class LearnedKind:
    """One kind of model over its seeds. Accuracies are 0 to 1; None: not known of every seed."""

    title: str
    seeds: list[int]
    epochs: tuple[int, int]
    """The fewest and the most epochs that a seed ran."""
    curves: dict[str, list[Spread]]
    """By column of ``history.csv``, as far as every seed went: where one stopped early, a mean of the others would
    be a mean of other networks."""
    validation: float | None
    validation_sd: float | None
    test: float | None
    test_ci95: tuple[float, float] | None
    """Student's t over seeds; None for one seed."""
    overfit: float | None
    """Training minus validation accuracy in the last epoch, mean over seeds."""
    train_seconds: float | None


@dataclass(frozen=True)
class Learning:
    """All kinds on one axis: a stage begins at the same place for all of them."""

    stages: list[tuple[str, int]]
    """Name, and the number of epochs before it."""
    kinds: list[LearnedKind]

    @property
    def several_seeds(self) -> bool:
        return any(len(kind.seeds) > 1 for kind in self.kinds)

    def plots(self) -> list[tuple[str, Markup]]:
        """Validation accuracy and loss of all kinds."""
        starts = [start for _, start in self.stages[1:]]
        found = []
        for quantity in QUANTITIES:
            lines = [(kind.title, kind.curves[f"val_{quantity}"]) for kind in self.kinds]
            bands = [
                (title, [(s.epoch, s.mean, s.lowest, s.highest) for s in spreads])
                for title, spreads in lines
                if spreads
            ]
            if bands:
                name = f"learning-{quantity}"
                found.append((quantity, seed_bands(bands, quantity, starts, name=name, width=380, height=270)))
        return found

    def document(self) -> dict[str, Any]:
        kinds = [
            {**asdict(kind), "epochs": list(kind.epochs), "test_ci95": kind.test_ci95 and list(kind.test_ci95)}
            for kind in self.kinds
        ]
        return {"stages": [list(stage) for stage in self.stages], "kinds": kinds}


def learning(runs: Sequence[RunData]) -> Learning | None:
    """The curves of all finished runs; None where fewer than two have any: one run's own curves say it all."""
    known = [run for run in runs if run.history and run.document.get("status") == "done"]
    if len(known) < 2:
        return None
    starts = _starts(known)
    kinds: dict[str, list[RunData]] = {}
    for run in known:
        kinds.setdefault(f"{model_title(run.document)}, {strategy_title(run.document)}", []).append(run)
    return Learning(list(starts.items()), [_kind(title, members, starts) for title, members in kinds.items()])


def _starts(runs: Sequence[RunData]) -> dict[str, int]:
    """By stage, in their order: the epochs before it, where every stage takes as long as the longest of any run."""
    longest: dict[str, int] = {}
    for run in runs:
        for row in run.history:
            stage = str(row["stage"])
            longest[stage] = max(longest.get(stage, 0), int(row["epoch"]))
    # A fine-tuning that began at a run of its own must not come before the feature extraction of the others.
    order = sorted(longest, key=lambda stage: stage == "fine-tuning")
    return {stage: sum(longest[before] for before in order[:i]) for i, stage in enumerate(order)}


def _kind(title: str, runs: Sequence[RunData], starts: dict[str, int]) -> LearnedKind:
    lengths = [len(run.history) for run in runs]
    scores = [score.accuracy for run in runs if (score := run_score(run)) is not None]
    validation = [v for run in runs if (v := _validation(run)) is not None]
    gaps = [gap for run in runs if (gap := _gap(run)) is not None]
    seconds = [s for run in runs if (s := (run.document.get("timing") or {}).get("train_seconds")) is not None]
    interval = mean_interval(scores) if len(scores) == len(runs) > 1 else None
    return LearnedKind(
        title=title,
        seeds=[int(run.document["seed"]) for run in runs],
        epochs=(min(lengths), max(lengths)),
        curves={
            column: _spreads(runs, column, starts)
            for quantity in QUANTITIES
            for column in (quantity, f"val_{quantity}")
        },
        validation=mean(validation) if len(validation) == len(runs) else None,
        validation_sd=stdev(validation) if len(validation) == len(runs) > 1 else None,
        test=mean(scores) if len(scores) == len(runs) else None,
        test_ci95=None if interval is None else (max(0.0, interval.low), min(1.0, interval.high)),
        overfit=mean(gaps) if len(gaps) == len(runs) else None,
        train_seconds=mean(seconds) if len(seconds) == len(runs) else None,
    )


def _spreads(runs: Sequence[RunData], column: str, starts: dict[str, int]) -> list[Spread]:
    values: dict[int, list[float]] = {}
    for run in runs:
        for row in run.history:
            if row.get(column) is not None:
                values.setdefault(starts[str(row["stage"])] + int(row["epoch"]), []).append(float(row[column]))
    return [
        Spread(epoch, mean(found), min(found), max(found))
        for epoch, found in sorted(values.items())
        if len(found) == len(runs)
    ]


def _validation(run: RunData) -> float | None:
    found = ((run.document.get("metrics") or {}).get("val") or {}).get("accuracy")
    return None if found is None else float(found)


def _gap(run: RunData) -> float | None:
    last = run.history[-1]
    if last.get("accuracy") is None or last.get("val_accuracy") is None:
        return None
    return float(last["accuracy"]) - float(last["val_accuracy"])
