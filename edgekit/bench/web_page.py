"""`edgekit deploy --target web`: a static page that classifies pictures with exported files, in any browser."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from edgekit.bench.inspection import inspected
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.model_collection import collect_models
from edgekit.bench.own_golden import with_own_golden
from edgekit.bench.protocols import get_protocol
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.bench.verify import verify_models
from edgekit.bench.web_files import for_web
from edgekit.data.cache import cache_dir
from edgekit.documents.bench import BenchDocument
from edgekit.documents.machine import EnvironmentRecord, MachineEnvironment
from edgekit.documents.verification import VerificationRecord
from edgekit.documents.web_page import WebPage, WebPageModel
from edgekit.errors import InputError
from edgekit.render.text import plural
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import WEB_FORMAT
from edgekit.targets.local import LocalTarget
from edgekit.targets.web import WebTarget
from edgekit.targets.web_models import WebModels
from edgekit.web.assets import assets
from edgekit.web.chromium import find_chromium
from edgekit.web.folder import check_folder, write_page
from edgekit.web.runtime_package import LICENSE, runtime_files

DEFAULT_SCHEMES = ("fp32", "int8")
"""What a page of a run compares, unless exported files are named."""

PROTOCOLS = ("quick", "standard")

MEASURED_BY_PAGE = "web-page"
"""The target of a measurement, until the person in front of the page gives the device a name."""


@dataclass(frozen=True)
class WebDeployment:
    """The folder with the page, and the checks of the golden outputs in a browser of this machine."""

    folder: Path
    page: WebPage
    size_bytes: int
    browser: str | None
    """None if there is no browser here, and nothing was checked."""
    verification: tuple[VerificationRecord, ...]

    @property
    def problems(self) -> list[str]:
        """Why files failed their check."""
        return [f"{check.id}: {check.problem}" for check in self.verification if check.problem is not None]


def deploy_page(
    paths: Sequence[Path],
    folder: Path,
    *,
    exports: Sequence[str] = (),
    title: str | None = None,
    runtime_dir: Path | None = None,
    third_party: ThirdPartyOptions | None = None,
    progress: Progress = SILENT,
) -> WebDeployment:
    """Write a page with the exported files of a run, or with third-party models, into ``folder``.

    ``exports`` chooses among the exports of a run (``onnx-int8``); the default is :data:`DEFAULT_SCHEMES`. Raises
    :class:`InputError` if no file fits or if the folder contains anything but a page, and :class:`EdgekitError` if the
    runtime cannot be downloaded.
    """
    folder = expanded(folder).absolute()
    check_folder(folder)
    found = collect_models(paths, third_party or ThirdPartyOptions(), progress, results=False)
    found = _chosen(found, exports)
    found, _ = inspected(LocalTarget(), found, scored=True)
    models = sorted(found, key=lambda model: model.size_bytes)
    for model in models:
        if model.labels is None:
            raise InputError(
                "the page cannot name the classes of this model: its metadata has no class names",
                where=str(model.path),
                hint="pass the class names: --labels FILE",
            )
    page = _page(models, title or _title(models))
    runtime = runtime_files(cache_dir(), runtime_dir, progress)
    files: dict[str, Path | bytes] = {
        **assets(),
        **{f"runtime/{name}": path for name, path in runtime.items()},
        "runtime/LICENSE.txt": LICENSE.encode(),
        **{one.file: model.path for one, model in zip(page.models, models)},
    }
    browser, checks = _checked(models, WebTarget(progress, runtime_dir), progress)
    size = write_page(folder, page, files)
    return WebDeployment(folder, page, size, browser, checks)


def _chosen(models: list[MeasuredModel], exports: Sequence[str]) -> list[MeasuredModel]:
    if exports:
        known = [model.key for model in models]
        for name in exports:
            if name not in known:
                raise InputError(f"there is no exported file {name!r}", hint=f"choose from: {', '.join(known)}")
        models = [model for model in models if model.key in exports]
        tflite = [model.key for model in models if model.format != WEB_FORMAT]
        if tflite:
            raise InputError(f"a browser runs ONNX files only, not {', '.join(tflite)}")
        return models
    usual = [model for model in for_web(models, SILENT) if model.run is None or model.scheme in DEFAULT_SCHEMES]
    return usual or for_web(models, SILENT)


def _title(models: Sequence[MeasuredModel]) -> str:
    run = models[0].run
    return models[0].path.stem if run is None else f"{run.dataset.name}: {run.backbone}"


def _page(models: Sequence[MeasuredModel], title: str) -> WebPage:
    known = WebModels()
    parts = []
    for model in models:
        job = replace(model, id=model.key).job()
        parts.append(
            WebPageModel(
                model=known.web_model(job),
                file=f"models/{model.key}.{model.format}",
                labels=model.labels or (),
                result=_unmeasured(model),
            )
        )
    return WebPage(title=title, models=tuple(parts), protocols=tuple(map(get_protocol, PROTOCOLS)))


def _unmeasured(model: MeasuredModel) -> BenchDocument:
    """The bench document of ``model`` without measurements."""
    run = model.run
    return BenchDocument(
        status="ok",
        problems=(),
        run_id=None if run is None else run.run_id,
        backbone=None if run is None else run.backbone,
        alpha=None if run is None else run.alpha,
        strategy=None if run is None else run.strategy,
        seed=None if run is None else run.seed,
        format=model.format,
        scheme=model.scheme,
        key=model.key,
        id=model.id if run is not None else model.path.name,
        model=f"models/{model.key}.{model.format}",
        size_bytes=model.size_bytes,
        gzip_bytes=model.gzip_bytes,
        sha256=model.sha256,
        operators=model.operators,
        target=MEASURED_BY_PAGE,
        emulated=False,
        session_id="",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        runtime=None,
        protocol=get_protocol(PROTOCOLS[0]),
        latency=(),
        memory=None,
        accuracy=None,
        preprocessing=model.preprocessing,
        control=(),
        environment=EnvironmentRecord(before=MachineEnvironment(), after=MachineEnvironment()),
        warnings=(),
    )


def _checked(
    models: list[MeasuredModel], browser: WebTarget, progress: Progress
) -> tuple[str | None, tuple[VerificationRecord, ...]]:
    """The golden outputs in a browser of this machine, and its name."""
    able = [model for model in models if model.run is None or model.golden.is_file()]
    if not able:
        return None, ()
    if find_chromium() is None:
        progress.warn("the golden outputs were not checked, because no Chromium, Chrome or Edge was found here")
        return None, ()
    progress.info(f"checking the golden outputs of {plural(len(able), 'file')} in a browser")
    with tempfile.TemporaryDirectory() as scratch, closing(browser) as target:
        ready = [with_own_golden(model, Path(scratch)) if model.run is None else model for model in able]
        checks = verify_models(target, ready)
        return target.browser_name, tuple(checks)
