"""What a person says about a model that is imported."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.documents.folders import RunFolder


@dataclass(frozen=True)
class ImportOptions:
    """What a person says about a model. ``scaling`` and ``labels`` are found out or taken from the folders if None.

    ``settings`` are those of a recipe by dotted key. ``check`` refuses a scaling, or an order of labels, that another
    one clearly beats.
    """

    model: Path
    data: Path
    labels: Path | None = None
    scaling: str | None = None
    name: str | None = None
    resize: str | None = None
    image_size: int | None = None
    run: Path | None = None
    settings: Mapping[str, object] | None = None
    check: bool = True

    @property
    def title(self) -> str:
        """The name of the model: the one given, or that of its file."""
        return self.name or self.model.resolve().stem

    @property
    def folder(self) -> RunFolder:
        """The run folder: the one given, or a new one in ``runs/``."""
        if self.run is not None:
            return RunFolder(self.run)
        folder, number = Path("runs") / self.title, 1
        while folder.exists():
            number += 1
            folder = Path("runs") / f"{self.title}-{number}"
        return RunFolder(folder)

    def command(self) -> str:
        """The command line with these options."""
        words = ["edgekit", "import", str(self.model), "--data", str(self.data)]
        given = {
            "labels": self.labels,
            "scaling": self.scaling,
            "name": self.name,
            "resize": self.resize,
            "image-size": self.image_size,
            "run": self.run,
        }
        for name, value in given.items():
            words += [] if value is None else [f"--{name}", str(value)]
        for key, setting in (self.settings or {}).items():
            words += ["--set", f"{key}={setting}"]
        return " ".join(shlex.quote(word) for word in words)
