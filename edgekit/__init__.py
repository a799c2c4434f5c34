"""edgekit: train small image classifiers, export them, and measure them on your device.

The functions below are the commands of ``edgekit`` for Python. They are imported on first use, so ``import edgekit``
loads neither numpy nor TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

TYPE_CHECKING = False  # importing typing would take a third of the time of ``import edgekit``
if TYPE_CHECKING:
    from edgekit.api import audit as audit
    from edgekit.api import bench as bench
    from edgekit.api import choose as choose
    from edgekit.api import compare as compare
    from edgekit.api import deploy as deploy
    from edgekit.api import diff as diff
    from edgekit.api import evaluate as evaluate
    from edgekit.api import export as export
    from edgekit.api import gate_check as gate_check
    from edgekit.api import gate_save as gate_save
    from edgekit.api import import_model as import_model
    from edgekit.api import load_run as load_run
    from edgekit.api import load_study as load_study
    from edgekit.api import predict as predict
    from edgekit.api import report as report
    from edgekit.api import sample_program as sample_program
    from edgekit.api import train as train
    from edgekit.api import web_page as web_page
    from edgekit.errors import CheckFailed as CheckFailed
    from edgekit.errors import EdgekitError as EdgekitError
    from edgekit.errors import InputError as InputError
    from edgekit.errors import TargetError as TargetError
    from edgekit.recipe import Recipe as Recipe
    from edgekit.recipe import load_recipe as load_recipe
    from edgekit.support.progress import Progress as Progress

__version__ = "0.1.0"

__all__ = [
    "CheckFailed",
    "EdgekitError",
    "InputError",
    "Progress",
    "Recipe",
    "TargetError",
    "audit",
    "bench",
    "choose",
    "compare",
    "deploy",
    "diff",
    "evaluate",
    "export",
    "gate_check",
    "gate_save",
    "import_model",
    "load_recipe",
    "load_run",
    "load_study",
    "predict",
    "report",
    "sample_program",
    "train",
    "web_page",
]

_HOMES = {
    **dict.fromkeys(__all__, "edgekit.api"),
    **dict.fromkeys(("CheckFailed", "EdgekitError", "InputError", "TargetError"), "edgekit.errors"),
    **dict.fromkeys(("Recipe", "load_recipe"), "edgekit.recipe"),
    "Progress": "edgekit.support.progress",
}
"""The module that defines each public name. They are imported by string, so no import contract sees a circle here."""


class _Package(ModuleType):
    """This package. Its public names are imported on first use.

    ``train``, ``export``, ``bench`` and ``report`` are functions here and subpackages too. When Python imports a
    subpackage, it assigns it to an attribute of the package, and ``edgekit.train(...)`` would then fail after any
    ``from edgekit.train.loop import ...``. That assignment is therefore ignored. Imports of the form ``from
    edgekit.train.loop import ...`` do not need the attribute; ``import edgekit.train.loop as loop`` does and fails.

    Alternatives: renaming the subpackages would give each stage two names, and callable subpackages would hide the
    functions from ``help()`` and type checkers.
    """

    def __getattr__(self, name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
