"""`edgekit deploy`: a folder on a device with which one exported file works there, without edgekit and this machine."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.model_inspection import inspected, with_target_runtime
from edgekit.bench.models import Candidate, ForeignOptions, collect
from edgekit.bench.verify import Verification, verify_candidates
from edgekit.device.protocol.requests import HostFacts, PlaceRequest
from edgekit.device.protocol.verbs import PLACE
from edgekit.device.working_folder import PROGRAM
from edgekit.documents.folders import ExportFolder
from edgekit.errors import InputError, TargetError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.config import find_target
from edgekit.targets.device_program import program
from edgekit.targets.local import LOCAL
from edgekit.targets.ssh import SshTarget
from edgekit.targets.upload import Hashes, object_name


@dataclass(frozen=True)
class Deployed:
    """Where it lies on the target, how it is used there, and that it gives the golden answers there."""

    folder: str
    command: str
    file: str
    verification: Verification


def deploy(
    run: Path, *, target: str, export: str | None = None, name: str | None = None, progress: Progress = SILENT
) -> Deployed:
    """Leave model, labels, golden answers, the device program and a README in ``deploy/NAME`` on ``target``.

    ``export`` chooses among a run's files (``tflite-int8``). Raises :class:`InputError` for what is no single
    exported file, :class:`TargetError` where the target lacks the packages.
    """
    if target == LOCAL:
        raise InputError("deploy is for other machines; here, use the file itself", hint="edgekit predict MODEL IMAGE")
    candidate = _chosen(collect([run], ForeignOptions(), progress), export, run)
    folder = _plain(name or f"{candidate.folder.name}-{candidate.key}")
    with closing(SshTarget(find_target(target), progress)) as machine:
        (candidate,), _ = inspected(machine, with_target_runtime([candidate], machine.runtime), scored=False)
        (verification,) = verify_candidates(machine, [candidate])
        facts = machine.facts()
        if facts["environment"] is None and not {"numpy", "pillow"} <= set(facts["installed"]):
            raise TargetError(f"{target} is not set up", hint=f"edgekit target setup {target}")
        place = _place(machine, candidate, folder, facts)
    command = shlex.join([machine.config.python, PROGRAM, "predict", candidate.path.name, "photo.jpg"])
    return Deployed(place, command, candidate.path.name, verification)


def _place(machine: SshTarget, candidate: Candidate, folder: str, facts: HostFacts) -> str:
    labels = candidate.labels or ()
    model = candidate.path.name
    python = machine.config.python
    readme = (
        f"{candidate.id}, SHA-256 {candidate.sha256}, put here by `edgekit deploy`.\n"
        f"{python} {PROGRAM} predict {model} photo.jpg   (or: --camera; verify {model} golden.npz; --help)\n"
    )
    texts = {"labels.txt": "".join(f"{label}\n" for label in labels).encode(), "README.txt": readme.encode()}
    with tempfile.TemporaryDirectory() as scratch:
        sources = {model: candidate.path, "golden.npz": ExportFolder(candidate.path.parent).golden}
        for name, content in {PROGRAM: program(), **texts}.items():
            sources[name] = Path(scratch, name)
            sources[name].write_bytes(content)
        hashes = Hashes()
        objects = {name: object_name(str(path), hashes) for name, path in sources.items()}
        machine.send({objects[name]: str(path) for name, path in sources.items()})
        environment = facts["environment"]
        request = PlaceRequest(
            folder=folder, files=objects, environment=None if environment is None else environment["id"]
        )
        return machine.ask(PLACE, request)["folder"]


def _chosen(candidates: Sequence[Candidate], export: str | None, run: Path) -> Candidate:
    if export is not None:
        candidates = [candidate for candidate in candidates if candidate.key == export]
    if len(candidates) == 1 and candidates[0].run is not None:
        return candidates[0]
    keys = ", ".join(candidate.key for candidate in collect([run], ForeignOptions(), SILENT))
    raise InputError(f"one exported file is deployed; here are: {keys}", where=str(run), hint="choose: --export NAME")


def _plain(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,99}", name):
        return name
    raise InputError(f"{name!r} cannot be a folder's name on the device", hint="give another: --name NAME")
