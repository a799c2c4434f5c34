"""The verbs in the order of the work. One file each; nothing heavy is imported here or there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from edgekit.cli import (
    bench,
    compare,
    corrupt,
    data,
    deploy,
    doctor,
    evaluate,
    export,
    init,
    listing,
    predict,
    quickstart,
    report,
    target,
    train,
    verify,
)

VERBS: tuple[tuple[str, Callable[..., Any] | typer.Typer], ...] = (
    ("quickstart", quickstart.quickstart),
    ("init", init.init),
    ("data", data.data_app),
    ("train", train.train),
    ("evaluate", evaluate.evaluate),
    ("export", export.export),
    ("bench", bench.bench),
    ("compare", compare.compare),
    ("report", report.report),
    ("predict", predict.predict),
    ("corrupt", corrupt.corrupt),
    ("target", target.app),
    ("verify", verify.verify),
    ("deploy", deploy.deploy),
    ("doctor", doctor.doctor),
    ("list", listing.list_tables),
)
