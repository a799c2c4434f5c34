"""The Python API: the commands of ``edgekit`` as functions that return the documents they write.

Each function does what the command of the same name does, with the same defaults. Import them from :mod:`edgekit`::

    import edgekit

    run = edgekit.train(data="photos", backbone="mobilenetv2", run="runs/photos")
    edgekit.export(run, files=["tflite-int8"])

An expected failure raises :class:`edgekit.EdgekitError` or one of its subclasses. The functions print
nothing; each takes a ``progress``, which receives its messages while it runs.
"""

from edgekit.api.folders import AnyPath, folder_of, load_run, load_study
from edgekit.api.measuring import BenchOutcome, bench, predict
from edgekit.api.networks import evaluate, export, import_model, train
from edgekit.api.studies import audit, choose, compare, report

__all__ = [
    "AnyPath",
    "BenchOutcome",
    "audit",
    "bench",
    "choose",
    "compare",
    "evaluate",
    "export",
    "folder_of",
    "import_model",
    "load_run",
    "load_study",
    "predict",
    "report",
    "train",
]
