"""What follows from the trials of scalings and labels: go on, or stop with a proposal."""

from __future__ import annotations

from dataclasses import replace

from edgekit.data.dataset import Dataset
from edgekit.errors import CheckFailed, InputError
from edgekit.support.progress import Progress
from edgekit.train.imported.options import ImportOptions
from edgekit.train.imported.trials import Trials, described


def judge(trials: Trials, dataset: Dataset, options: ImportOptions, labelled: bool, progress: Progress) -> None:
    """Raise where the scaling is not given, or something else clearly fits the images better."""
    table = "\n".join(f"  {line}" for line in described(trials, dataset.classes))
    images = f"{trials.n_images} training images"
    if not trials.works and (options.scaling is None or options.check):
        raise CheckFailed(
            f"the model does not recognize the images: on {images}, no scaling is clearly better than always "
            f"predicting the most frequent class:\n{table}",
            where=str(options.model),
            hint="pass images of the classes that it was trained on, its own scaling (--scaling MEAN,STD), or "
            "--resize; --no-check imports it as it is, with the --scaling that you pass",
        )
    best = trials.best
    if options.scaling is None:
        close = ", ".join(trial.scaling for trial in trials.equally_good())
        same = f"\nOn these images, {best.scaling} is not significantly better than: {close}." if close else ""
        raise InputError(
            f"the scaling of the pixels is not given. Accuracy on {images}, by scaling:\n{table}{same}",
            where=str(options.model),
            hint=f"if you do not know the scaling that the model was trained with, use the best one: "
            f"{replace(options, scaling=best.scaling).command()}{_label_hint(trials, dataset)}",
        )
    given = trials.by_scaling[options.scaling]
    if options.check and trials.better_than(options.scaling) is not None:
        raise CheckFailed(
            f"the scaling {options.scaling} does not fit this model: {best.scaling} classifies clearly more of "
            f"{images} correctly:\n{table}",
            where=str(options.model),
            hint=f"use it: {replace(options, scaling=best.scaling).command()}\n  or import the model as it is with "
            f"--no-check{_label_hint(trials, dataset)}",
        )
    if given.fits_other_order:
        order = ", ".join(dataset.classes[i] for i in given.order)
        source = "the labels" if labelled else "the image folders in alphabetical order"
        problem = (
            f"the order of the labels does not fit this model: with {source}, {100 * given.accuracy:.1f}% of {images} "
            f"are correct, and {100 * float(given.reordered.mean()):.1f}% with the labels in the order {order}"
        )
        if options.check:
            raise CheckFailed(
                problem,
                where=str(options.labels or options.model),
                hint="write the names in this order to a file, one per line, and pass it with --labels FILE; "
                "--no-check imports the model as it is",
            )
        progress.warn(problem)


def _label_hint(trials: Trials, dataset: Dataset) -> str:
    if not trials.best.fits_other_order:
        return ""
    order = ", ".join(dataset.classes[i] for i in trials.best.order)
    return f"\n  and pass the labels in the order {order}: a file with one name per line, with --labels FILE"
