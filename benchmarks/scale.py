"""How time and memory grow: images, classes and the cells of a study at 1, 10 and 100 times.

    python benchmarks/scale.py --out benchmarks/results/scale.json

Every step is a whole command in a process of its own, so that CPU time and peak memory are its own; imports count as
well. Images are drawn (64 x 64 JPEG, all different), 1,000 at scale 1: once in 10 classes, once with 10 images in each
class. A study has 10 cells at scale 1, with two exported and measured files each; its documents are those of the tests,
and no network is trained. ``times`` is the growth of CPU time against the scale before, where 10 is linear. Wall time
depends on what else the machine does, so the JSON has its load. ``--work DIR`` keeps the images and studies for the
next time.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from common import show, told, write_result
from PIL import Image

from edgekit.errors import EdgekitError

ROOT = Path(__file__).resolve().parents[1]
IMAGES, CELLS, SIDE = 1_000, 10, 64
PROBE = """<!doctype html><body><iframe src="{url}" style="width:1280px;height:900px"></iframe><pre></pre><script>
const started = performance.now();
document.querySelector("iframe").onload = (event) => {{
  const page = event.target.contentDocument, height = page.body.scrollHeight;  // with layout
  document.querySelector("pre").textContent =
    JSON.stringify([performance.now() - started, page.querySelectorAll("*").length, height]);
}};
</script>"""


@dataclass(frozen=True)
class Step:
    """One command at one scale."""

    step: str
    scale: int
    n_images: int | None
    n_classes: int | None
    n_cells: int | None
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    load_average: float
    """Of the last minute, when the command ended."""
    html_bytes: int | None = None
    page_milliseconds: float | None = None
    """From the start of loading the page in headless Chromium to its layout."""
    page_elements: int | None = None


def make_images(folder: Path, count: int, n_classes: int) -> Path:
    """``count`` different JPEGs in ``n_classes`` class folders."""
    if folder.is_dir():
        return folder
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for label in range(n_classes):
        (partial / f"class_{label:05d}").mkdir(parents=True)
    random = np.random.default_rng([count, n_classes])
    for number in range(count):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        image.save(partial / f"class_{number % n_classes:05d}" / f"{number:06d}.jpg", quality=85)
    return partial.rename(folder)


def make_study(folder: Path, count: int) -> Path:
    """A study of ``count`` cells: four backbones, two strategies, and as many seeds as that takes."""
    if (folder / "study.json").is_file():
        return folder
    sys.path[:0] = [str(ROOT / "tests" / "report"), str(ROOT / "tests")]
    from report_factory import write_bench, write_run, write_study

    kinds = [
        (backbone, strategy)
        for backbone in ("mobilenetv2", "resnet50v2", "vgg16", "resnet50")
        for strategy in ("feature-extraction", "fine-tuning")
    ]
    cells = []
    for number in range(count):
        seed, kind = divmod(number, len(kinds))
        backbone, strategy = kinds[kind]
        name = f"{backbone}-{strategy}-s{seed}"
        run = write_run(
            folder / "runs" / name, backbone=backbone, strategy=strategy, seed=seed, accuracy=0.85 + 0.015 * kind
        )
        _pictures(run.gradcam, number)
        for key in ("tflite-fp32", "tflite-int8"):
            write_bench(run, key, session="one", factor=1 + kind)
        cells.append((run, "exported"))
    return write_study(folder, cells)


def _pictures(folder: Path, seed: int) -> None:
    """Grad-CAM pictures of 16 test images, as large as those of training."""
    folder.mkdir(parents=True)
    random, entries = np.random.default_rng(seed), []
    for number in range(16):
        pixels = random.integers(0, 256, (20, 40, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).resize((320, 160), Image.Resampling.BILINEAR).save(stream, "JPEG", quality=85)
        (folder / f"{number:03}.jpg").write_bytes(stream.getvalue())
        facts = {"label": "glioma", "predicted": "glioma", "probability": 0.9, "right": True}
        entries.append({"picture": f"{number:03}.jpg", "file": f"{number:05}.jpg", **facts})
    (folder / "gradcam.json").write_text(json.dumps({"schema_version": 1, "images": entries}))


def measured(step: str, scale: int, arguments: list[str], cache: Path, **counts: int) -> Step:
    """``edgekit ARGUMENTS`` to its end. Raises :class:`EdgekitError` where it fails."""
    command = [sys.executable, "-m", "edgekit", *arguments]
    environment = {**os.environ, "EDGEKIT_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        wall_seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise EdgekitError(f"edgekit {arguments[0]} failed:\n{output.read()[-1000:].decode(errors='replace')}")
    print(f"{step} x{scale}: {wall_seconds:.1f} s", file=sys.stderr, flush=True)
    return Step(
        step,
        scale,
        counts.get("n_images"),
        counts.get("n_classes"),
        counts.get("n_cells"),
        wall_seconds,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss * 1024,
        os.getloadavg()[0],
    )


def folder_steps(work: Path, scale: int, n_classes: int, name: str) -> list[Step]:
    """``init`` and ``data audit`` of a folder with an empty cache, and the audit again."""
    count = IMAGES * scale
    folder = make_images(work / f"images-{count}-{n_classes}", count, n_classes)
    counts = {"n_images": count, "n_classes": n_classes}
    with tempfile.TemporaryDirectory() as place:
        cache, recipe = Path(place) / "cache", Path(place) / "recipe.yaml"
        audit = ["data", "audit", str(folder), "--json"]
        return [
            measured(f"init, {name}", scale, ["init", str(folder), "-o", str(recipe), "--json"], cache, **counts),
            measured(f"audit, {name}", scale, audit, cache, **counts),
            measured(f"audit again, {name}", scale, audit, cache, **counts),
        ]


def report_step(work: Path, scale: int) -> Step:
    """``report`` of a study, and its page in a browser where Chromium is installed."""
    study = make_study(work / f"study-{CELLS * scale}", CELLS * scale)
    step = measured("report, cells", scale, ["report", str(study), "--json"], work, n_cells=CELLS * scale)
    page = study / "report" / "report.html"
    milliseconds, elements = _opened(page)
    values = {"html_bytes": page.stat().st_size, "page_milliseconds": milliseconds, "page_elements": elements}
    return Step(**{**asdict(step), **values})


def _opened(page: Path) -> tuple[float | None, int | None]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        return None, None
    with tempfile.TemporaryDirectory() as place:
        probe = Path(place) / "probe.html"
        probe.write_text(PROBE.format(url=page.resolve().as_uri()))
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--timeout=60000"]
        done = subprocess.run(
            [chromium, *flags, f"--user-data-dir={place}/profile", "--dump-dom", probe.as_uri()],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    found = re.search(r"<pre>\[([\d.]+),(\d+),", done.stdout)
    return (None, None) if found is None else (float(found.group(1)), int(found.group(2)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scales", default="1,10,100", help="multiples of the smallest size")
    parser.add_argument("--only", choices=["images", "classes", "cells"], help="measure only this growth")
    parser.add_argument("--work", type=Path, help="folder for the images and studies, which are kept there")
    parser.add_argument("--out", type=Path, help="write every number as JSON; with --only, replace only those steps")
    arguments = parser.parse_args()
    scales = [int(scale) for scale in arguments.scales.split(",")]
    steps: list[Step] = []
    with tempfile.TemporaryDirectory() as place:
        work = arguments.work or Path(place)
        work.mkdir(parents=True, exist_ok=True)
        try:
            for scale in scales:
                if arguments.only in (None, "images"):
                    steps += folder_steps(work, scale, 10, "images")
                if arguments.only in (None, "classes"):
                    steps += folder_steps(work, scale, IMAGES * scale // 10, "classes")
                if arguments.only in (None, "cells"):
                    steps.append(report_step(work, scale))
        except EdgekitError as error:
            return told(error)
    found = [asdict(step) for step in steps]
    if arguments.only and arguments.out is not None and arguments.out.is_file():
        before = json.loads(arguments.out.read_text())["steps"]
        found = [step for step in before if not step["step"].endswith(f", {arguments.only}")] + found
    show(
        ["step", "times", "images", "classes", "cells", "CPU s", "growth", "wall s", "MB", "HTML MB", "page ms"],
        rows(found),
        right=range(1, 11),
    )
    write_result(arguments.out, "scale", {"steps": found, "load_average": os.getloadavg()})
    return 0


def rows(steps: list[dict[str, float]]) -> list[list[str]]:
    """The table, step by step, each at growing scales."""
    shown = []
    for step in sorted(steps, key=lambda step: (str(step["step"]).split(", ")[1], str(step["step"]), step["scale"])):
        before = [s for s in steps if s["step"] == step["step"] and s["scale"] * 10 == step["scale"]]
        counts = [f"{step[key]:,}" if step[key] else "" for key in ("n_images", "n_classes", "n_cells")]
        shown.append([
            str(step["step"]), f"{step['scale']}x", *counts, f"{step['cpu_seconds']:.1f}",
            f"{step['cpu_seconds'] / before[0]['cpu_seconds']:.1f}" if before else "",
            f"{step['wall_seconds']:.1f}", f"{step['peak_rss_bytes'] / 1e6:.0f}",
            f"{step['html_bytes'] / 1e6:.1f}" if step["html_bytes"] else "",
            f"{step['page_milliseconds']:.0f}" if step["page_milliseconds"] else "",
        ])  # fmt: skip
    return shown


if __name__ == "__main__":
    sys.exit(main())
