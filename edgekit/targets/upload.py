"""The files of a job by their content: which go to the target, and the job in the target's own paths."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.targets.base import Job

OBJECTS = "objects"
SUFFIXES = (".tflite", ".onnx")
"""The device program tells models by their suffix; other files are known by their content alone."""


@dataclass
class Hashes:
    """SHA-256 of files, each read once as long as its size and time stay."""

    _known: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def of(self, path: str) -> str:
        try:
            facts = Path(path).stat()
            key = (path, facts.st_size, facts.st_mtime_ns)
            if key not in self._known:
                self._known[key] = sha256_file(Path(path))
        except OSError as error:
            raise InputError(f"this file cannot be read: {error.strerror}", where=path) from None
        return self._known[key]


@dataclass(frozen=True)
class Shipment:
    """``files``: object name -> path here; ``job``: the same job, with paths below the target's working folder."""

    files: dict[str, str]
    job: Job
    order: tuple[str, ...] = ()
    """The paths here of the job's ``files``: two may have one content."""

    def here(self, path: str | None) -> str | None:
        """The path here of a path there; what is none of the objects stays as it is."""
        return None if path is None else self.files.get(path.removeprefix(f"{OBJECTS}/"), path)


def object_name(path: str, hashes: Hashes) -> str:
    """What a file is called in the target's store."""
    suffix = Path(path).suffix.lower()
    return hashes.of(path) + (suffix if suffix in SUFFIXES else "")


def shipment(job: Job, hashes: Hashes) -> Shipment:
    """Name every file of ``job`` by its content. Raises :class:`InputError` for a file that cannot be read."""
    files: dict[str, str] = {}

    def there(path: str) -> str:
        name = object_name(path, hashes)
        files.setdefault(name, path)
        return f"{OBJECTS}/{name}"

    order = tuple(os.path.join(job.get("root", ""), name) for name in job.get("files", ()))  # noqa: PTH118
    translated: dict[str, Any] = dict(job)
    if "models" in job:
        translated["models"] = [
            {**model, "path": there(model["path"]), "images": [there(path) for path in model.get("images", [])]}
            for model in job["models"]
        ]
    if "golden" in job:
        translated["golden"] = {key: there(path) for key, path in job["golden"].items()}
    if "files" in job:
        translated["files"] = [there(path) for path in order]
        translated["root"] = ""
    return Shipment(files, translated, order)


def content(path: str, size: int) -> Iterator[bytes]:
    """The bytes of a file in blocks; :class:`InputError` where it is no longer as long as it was."""
    left = size
    with Path(path).open("rb") as stream:
        while left and (block := stream.read(min(1 << 18, left))):
            left -= len(block)
            yield block
    if left:
        raise InputError("this file changed while it was sent", where=path)
