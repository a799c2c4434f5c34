"""`edgekit deploy`: copy one exported file to a target, with all it needs to run there without edgekit."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.bench.drift_reference import drift_reference
from edgekit.bench.earlier_result import earlier_result
from edgekit.bench.inspection import inspected, with_runtime
from edgekit.bench.measured_model import MeasuredModel, RuntimeSetting
from edgekit.bench.model_collection import collect_models
from edgekit.bench.own_golden import with_own_golden
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.bench.verify import verify_models
from edgekit.device.protocol.requests import HostFacts, PlaceEvent, PlaceRequest
from edgekit.device.protocol.verbs import PLACE
from edgekit.device.working_folder import DEPLOYED, PROGRAM, SETTINGS, STATISTICS, TUNED
from edgekit.documents.drift_reference import DriftReference
from edgekit.documents.tuning import SettingRecord
from edgekit.documents.verification import VerificationRecord
from edgekit.errors import InputError, TargetError
from edgekit.render.setting import setting_text
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.config import find_target
from edgekit.targets.device_program import program
from edgekit.targets.local import LOCAL
from edgekit.targets.sendable import check_golden, check_model, external_data
from edgekit.targets.ssh import SshTarget
from edgekit.targets.upload import Hashes, object_name


@dataclass(frozen=True)
class Deployment:
    """The folder on the target, the command that classifies an image there, and the check of the golden outputs.

    ``replaced``: the SHA-256 of the model that was there before. ``statistics_images``: test images that the drift
    check compares with, None without one. ``rejected``: why an update was refused, with the earlier files still in use.
    """

    folder: str
    command: str
    file: str
    verification: VerificationRecord
    setting: SettingRecord | None = None
    """What it runs with; None for the default."""
    replaced: str | None = None
    statistics_images: int | None = None
    rejected: str | None = None


def deploy(
    run: Path,
    *,
    target: str,
    export: str | None = None,
    name: str | None = None,
    update: bool = False,
    data: Path | None = None,
    third_party: ThirdPartyOptions | None = None,
    progress: Progress = SILENT,
) -> Deployment:
    """Copy model, labels, golden outputs, the device program and a README to ``deploy/NAME`` on ``target``.

    ``export`` chooses among the exports of a run (``tflite-int8``). It runs there with the setting that `edgekit bench
    --tune` confirmed as faster on that target, if it did. The golden outputs of a third-party model are what
    it predicts on this machine, and its preprocessing is copied, too. ``data``: labelled images for the drift check,
    instead of the run's test split. ``update``: replace an existing deployment, but only by a model that gives its
    golden outputs on the target. Raises :class:`InputError` if ``run`` does not identify a single exported file, and
    :class:`TargetError` if the target lacks packages or has no deployment to update.
    """
    if target == LOCAL:
        raise InputError(
            "deploy copies to another machine; on this one, use the file itself", hint="edgekit predict MODEL IMAGE"
        )
    models = collect_models([run], third_party or ThirdPartyOptions(), progress, results=False)
    model = _chosen(models, export, run)
    folder = _folder_name(name or (model.key if model.run is None else f"{model.folder.name}-{model.key}"))
    scored = model.run is None
    config = find_target(target)
    statistics = drift_reference(model, data, progress) if model.run is not None else None
    scratch = tempfile.TemporaryDirectory()
    with closing(SshTarget(config, progress)) as machine, scratch:
        (model,), _ = inspected(machine, with_runtime([model], None, machine), scored=scored)
        if model.run is None:
            model = with_own_golden(model, Path(scratch.name))
            statistics = drift_reference(model, data, progress)
        facts = machine.facts()
        if facts["environment"] is None and not {"numpy", "pillow"} <= set(facts["installed"]):
            raise TargetError(f"{target} is not set up", hint=f"edgekit target setup {target}")
        setting = tuned_setting(model, target)
        (verification,) = verify_models(machine, [_as_tuned(model, setting)])
        command = shlex.join([machine.config.python, PROGRAM, "predict", _file_name(model), "photo.jpg"])
        if update and verification.problem is not None:
            return Deployment(folder, command, _file_name(model), verification, setting, rejected=verification.problem)
        placed = _place(machine, model, folder, facts, setting, statistics, update=update)
    return Deployment(
        placed["folder"],
        command,
        _file_name(model),
        verification,
        setting,
        replaced=placed["replaced"] if placed["event"] == "placed" else None,
        statistics_images=None if statistics is None else statistics.n_images,
        rejected=placed["reason"] if placed["event"] == "rejected" else None,
    )


def _file_name(model: MeasuredModel) -> str:
    """The name of the model in the deployment, whatever its file is called here."""
    return f"model.{model.format}"


def tuned_setting(model: MeasuredModel, target: str) -> SettingRecord | None:
    """The setting that `edgekit bench --tune` confirmed as faster for this file on ``target``; None for the default."""
    known = earlier_result(model, target)
    tuning = None if known is None else known.bench.tuning
    return None if tuning is None or tuning.chosen == tuning.default else tuning.chosen


def _as_tuned(model: MeasuredModel, setting: SettingRecord | None) -> MeasuredModel:
    if setting is None:
        return model
    options = tuple(setting.options.items())
    return replace(model, runtime=setting.runtime, setting=RuntimeSetting(setting.threads, setting.pin, options))


def _place(
    machine: SshTarget,
    model: MeasuredModel,
    folder: str,
    facts: HostFacts,
    setting: SettingRecord | None,
    statistics: DriftReference | None,
    *,
    update: bool,
) -> PlaceEvent:
    with tempfile.TemporaryDirectory() as scratch:
        sources = {_file_name(model): model.path, "golden.npz": model.golden, **_external(model)}
        generated = _generated_files(model, machine.config.python, setting)
        if statistics is not None:
            generated[STATISTICS] = statistics.to_json().encode()
        for name, content in generated.items():
            sources[name] = Path(scratch, name)
            sources[name].write_bytes(content)
        check_golden(model.golden)
        check_model(model.path)
        hashes = Hashes()
        objects = {name: object_name(str(path), hashes) for name, path in sources.items()}
        machine.send({objects[name]: str(path) for name, path in sources.items()})
        environment = facts["environment"]
        request = PlaceRequest(
            folder=folder,
            files=objects,
            environment=None if environment is None else environment["id"],
            update=update,
        )
        return machine.ask(PLACE, request)


def _generated_files(model: MeasuredModel, python: str, setting: SettingRecord | None) -> dict[str, bytes]:
    """The files that are not copied: the device program, the labels and a README."""
    file = _file_name(model)
    readme = (
        f"{model.id}, copied here by `edgekit deploy`. SHA-256 of {file}: {model.sha256}\n\n"
        f"Classify an image:         {python} {PROGRAM} predict {file} photo.jpg\n"
        f"Classify camera frames:    {python} {PROGRAM} predict {file} --camera\n"
        f"The same with a web page:  {python} {PROGRAM} watch {file}\n"
        f"Start that at boot:        {python} {PROGRAM} unit {file} --help\n"
        f"Check the golden outputs:  {python} {PROGRAM} verify {file} golden.npz\n"
        f"Show all commands:         {python} {PROGRAM} --help\n"
    )
    if setting is not None:
        readme += f"\nIt runs with {setting_text(setting)} ({TUNED}): the fastest setting measured here.\n"
    labels = "".join(f"{label}\n" for label in model.labels or ())
    files = {PROGRAM: program(), "README.txt": readme.encode()}
    if labels:
        files["labels.txt"] = labels.encode()
    if setting is not None:
        files[TUNED] = setting.model_dump_json(indent=1).encode()
    settings: dict[str, object] = {} if model.runtime is None else {"runtime": model.runtime}
    if model.run is None:
        job = model.job()
        kept = ("scaling", "resize", "filter", "range", "image_size", "output", "activation")
        settings |= {key: job[key] for key in kept if job[key] is not None}  # type: ignore[literal-required]
        settings["external_data"] = sorted(_external(model))
    if settings:
        files[SETTINGS] = json.dumps(settings, indent=1).encode()
    return files


def _external(model: MeasuredModel) -> dict[str, Path]:
    """The files with external data, by name. Raises :class:`InputError` if one lies in a folder of its own."""
    data = external_data(model.path)
    for location in data:
        if "/" in location or location in DEPLOYED:
            raise InputError(
                f"only external data in the folder of the model can be deployed, and {location} is not there",
                where=str(model.path),
                hint="save the model again with its weights in one file",
            )
    return data


def _chosen(models: Sequence[MeasuredModel], export: str | None, run: Path) -> MeasuredModel:
    chosen = [model for model in models if export in (None, model.key)]
    if len(chosen) == 1:
        return chosen[0]
    keys = ", ".join(model.key for model in models)
    raise InputError(
        f"deploy copies one exported file; found: {keys}", where=str(run), hint="choose one with --export NAME"
    )


def _folder_name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,99}", name):
        return name
    raise InputError(f"{name!r} is not a valid folder name on the target", hint="use another one: --name NAME")
