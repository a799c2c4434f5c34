"""The Python API: the commands of ``edgekit`` as functions that return the documents they write.

Each function does what the command of the same name does, with the same defaults. Import them from :mod:`edgekit`::

    import edgekit

    run = edgekit.train(data="photos", backbone="mobilenetv2", run="runs/photos")
    edgekit.export(run, files=["tflite-int8"])

An expected failure raises :class:`edgekit.EdgekitError` or one of its subclasses. The functions print
nothing; each takes a ``progress``, which receives its messages while it runs.
"""

from edgekit.api.deploying import deploy, sample_program
from edgekit.api.folders import AnyPath, folder_of, load_run, load_study
from edgekit.api.measuring import BenchOutcome, bench, predict
from edgekit.api.networks import evaluate, export, import_model, train
from edgekit.api.regression import gate_check, gate_save
from edgekit.api.studies import audit, choose, compare, diff, report
from edgekit.api.web import web_page

__all__ = [
    "AnyPath",
    "BenchOutcome",
    "audit",
    "bench",
    "choose",
    "compare",
    "deploy",
    "diff",
    "evaluate",
    "export",
    "folder_of",
    "gate_check",
    "gate_save",
    "import_model",
    "load_run",
    "load_study",
    "predict",
    "report",
    "sample_program",
    "train",
    "web_page",
]
