"""The files of a job, identified by their content, and the job with the target's paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.device.protocol.jobs import AnyJob, ModelEntry
from edgekit.device.runtime_table import SUFFIXES
from edgekit.device.working_folder import OBJECTS
from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.targets.sendable import check_golden, check_image, check_model, external_data


@dataclass
class Hashes:
    """SHA-256 of files. Each file is read once, as long as its size and time stay the same."""

    _known: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def of(self, path: str) -> str:
        """Raises :class:`InputError` for what is not a readable file: opening a pipe or a device may never end."""
        try:
            facts = Path(path).stat()
            if not stat.S_ISREG(facts.st_mode):
                raise InputError("this is not a regular file", where=path)
            key = (path, facts.st_size, facts.st_mtime_ns)
            if key not in self._known:
                self._known[key] = sha256_file(Path(path))
        except OSError as error:
            raise InputError(f"cannot read this file: {error.strerror}", where=path) from None
        return self._known[key]


@dataclass(frozen=True)
class Upload:
    """``files``: object name -> path here; ``job``: the same job, with paths below the target's working folder."""

    files: dict[str, str]
    job: AnyJob
    order: tuple[str, ...] = ()
    """The paths here of the job's ``files``: two of them may have the same content."""

    def local_path(self, path: str) -> str:
        """The path here of a path there; any other path stays as it is."""
        return self.files.get(path.removeprefix(f"{OBJECTS}/"), path)


def object_name(path: str, hashes: Hashes) -> str:
    """The name of a file in the target's store. Models keep their suffix, by which the device program knows them."""
    suffix = Path(path).suffix.lower()
    return hashes.of(path) + (suffix if suffix in SUFFIXES else "")


def prepare_upload(job: AnyJob, hashes: Hashes) -> Upload:
    """Name each file of ``job`` by its content.

    Raises :class:`InputError` for a file that cannot be read, and for a link that leads to something else than it says.
    """
    files: dict[str, str] = {}

    def there(path: str, check: Callable[[Path], None] = check_image) -> str:
        check(Path(path))
        name = object_name(path, hashes)
        files.setdefault(name, path)
        return f"{OBJECTS}/{name}"

    def with_data(model: ModelEntry) -> ModelEntry:
        entry: ModelEntry = {
            **model,
            "path": there(model["path"], check_model),
            "images": [there(path) for path in model.get("images", [])],
        }
        data = external_data(Path(model["path"]))
        if data:  # its own check: each lies in the folder of the model
            entry["files"] = {location: there(str(file), lambda _: None) for location, file in data.items()}
        return entry

    order = tuple(os.path.join(job.get("root", ""), name) for name in job.get("files", ()))  # noqa: PTH118
    translated: AnyJob = {**job}
    if "models" in job:
        translated["models"] = [with_data(model) for model in job["models"]]
    if "golden" in job:
        translated["golden"] = {key: there(path, check_golden) for key, path in job["golden"].items()}
    if "files" in job:
        translated["files"] = [there(path) for path in order]
        translated["root"] = ""
    return Upload(files, translated, order)


def read_blocks(path: str, size: int) -> Iterator[bytes]:
    """The bytes of a file in blocks. Raises :class:`InputError` if it became shorter."""
    left = size
    with Path(path).open("rb") as stream:
        while left and (block := stream.read(min(1 << 18, left))):
            left -= len(block)
            yield block
    if left:
        raise InputError("this file changed while it was being sent", where=path)
