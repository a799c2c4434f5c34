"""What is fuzzed: each area makes one odd input from a random generator and gives it to edgekit."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from attempts import Finding, Workspace, call, command, process
from odd_values import TEXTS, VALUES, changed_bytes, changed_document, changed_text
from PIL import Image

from edgekit.recipe import Recipe, load_recipe, parse_setting, shipped_recipes


@dataclass(frozen=True)
class Area:
    """``prepare`` fills a workspace once; ``attempt`` tries one input in it.

    ``share``: how many of 1,000 inputs belong to this area.
    """

    prepare: Callable[[Workspace], None]
    attempt: Callable[[random.Random, Workspace], None]
    share: int


def plan(recipe: Recipe, folder: Path) -> None:
    """What `edgekit compare` does before it looks at images."""
    from edgekit.study.cells import plan_cells

    plan_cells(recipe, folder)


# Recipes and --set


def no_preparation(work: Workspace) -> None:
    """Nothing has to be there."""


def recipe(draw: random.Random, work: Workspace) -> None:
    text = changed_text(draw, draw.choice(list(shipped_recipes().values())))
    file = work.path / "recipe.yaml"
    content = text.encode("utf-8", "surrogatepass")
    file.write_bytes(changed_bytes(draw, content) if draw.random() < 0.15 else content)
    answer = command("train", file, "--data", work.path / "nothing", "--run", work.path / "run")
    if answer.code != 2 or (work.path / "run").exists():
        raise Finding(f"exit code {answer.code}\n{answer.stderr}")
    if draw.random() < 0.3:
        call(lambda: plan(load_recipe(file), work.path / "study"))


def setting(draw: random.Random, work: Workspace) -> None:
    key = (
        draw.choice(_keys())
        if draw.random() < 0.9
        else draw.choice([*TEXTS, "a.b", "train.", ".train", "train..seed", "data.path.x"])
    )
    value = draw.choice(TEXTS) if draw.random() < 0.8 else json.dumps(draw.choice(VALUES))
    if draw.random() < 0.1:
        value = changed_text(draw, f"{{a: [1, {value}], b: {value}}}")
    text = f"{key}={value}" if draw.random() < 0.97 else key + value
    name = draw.choice([None, None, None, *shipped_recipes()])  # reading a whole recipe takes most of the time
    command_line = ["train", *([] if name is None else [name]), "--data", work.path / "nothing"]
    answer = command(*command_line, "--run", work.path / "run", "--set", text)
    if answer.code != 2 or (work.path / "run").exists():
        raise Finding(f"exit code {answer.code}\n{answer.stderr}")
    call(lambda: plan(load_recipe(name, dict([parse_setting(text)])), work.path / "study"))


def _keys() -> list[str]:
    def dotted(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
        for key, value in values.items():
            yield prefix + key
            if isinstance(value, dict):
                yield from dotted(value, f"{prefix}{key}.")

    extra = [
        "compare.arms.a",
        "compare.arms.a.train.seed",
        "compare.overrides.vgg16",
        "compare.overrides.vgg16.train",
        "claims.0",
    ]
    return [*dotted(Recipe().document()), *extra]


def options(draw: random.Random, work: Workspace) -> None:
    """Odd values of options, before anything slow."""
    odd = [text for text in TEXTS if "\x00" not in text and "\ud800" not in text]
    run = work.path / "run"
    commands = [
        ["train", "--data", draw.choice(odd), "--run", str(work.path / "new" / "run"), "--epochs", draw.choice(odd)],
        ["train", draw.choice(odd), "--data", "nothing"],
        ["bench", str(run), "--threads", draw.choice(odd), "--target", "none"],
        ["bench", draw.choice(odd), "--protocol", draw.choice(odd)],
        ["bench", str(run), "--sustained", draw.choice(odd)],
        ["evaluate", draw.choice(odd)],
        [
            "evaluate",
            str(run),
            "--corruptions",
            draw.choice(odd),
            "--severities",
            draw.choice(odd),
            "--data",
            "nothing",
        ],
        ["export", str(run), "--format", draw.choice(odd), "--data", "nothing"],
        ["export", str(run), "--set", f"export.{draw.choice(odd)}={draw.choice(odd)}", "--data", "nothing"],
        ["report", draw.choice(odd)],
        [
            "report",
            str(run),
            "--constraint",
            draw.choice(["latency_ms=", "size_mb=", "threads=", ""]) + draw.choice(odd),
        ],
        ["predict", draw.choice(odd), draw.choice(odd)],
        ["init", draw.choice(odd), "-o", str(work.path / "out.yaml")],
        ["data", "audit", draw.choice(odd)],
        ["list", draw.choice(odd)],
        ["list", "backbones", "--layers", draw.choice(odd)],
        ["target", "add", draw.choice(odd), draw.choice(odd)],
        ["target", "remove", draw.choice(odd)],
        ["compare", draw.choice(odd), "--out", str(work.path / "new" / "study")],
        ["verify", draw.choice(odd)],
        ["deploy", draw.choice(odd), "--target", draw.choice(odd)],
        ["corrupt", draw.choice(odd), str(work.path / "new" / "corrupted")],
        [draw.choice(odd), draw.choice(odd)],
    ]
    empty = work.path / "empty"
    empty.mkdir(exist_ok=True)
    with working_folder(empty):
        command(*draw.choice(commands), *draw.choice([[], [], ["--json"], ["--quiet"]]))
    shutil.rmtree(empty)


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# Documents


def prepare_documents(work: Workspace) -> None:
    from report_factory import leaky_study, write_bench, write_run

    leaky_study(work.path / "study")
    run = write_run(work.path / "run", n_test=40)
    for key in ("tflite-fp32", "tflite-int8"):
        write_bench(run, key, target="pi4")
    work.guard(*run.path.rglob("*.npz"))
    pristine = work.path / "pristine"
    pristine.mkdir()
    for name in ("run", "study"):
        shutil.copytree(work.path / name, pristine / name)


def document(draw: random.Random, work: Workspace) -> None:
    name = draw.choice(["run", "run", "study"])
    folder = work.path / name
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and "report" not in p.relative_to(folder).parts]
    file = draw.choice(files)
    content = file.read_bytes()
    try:
        file.write_bytes(_changed_file(draw, file, content))
        if draw.random() < 0.7:
            command("report", folder, *draw.choice([[], ["--json"], ["--constraint", "size_mb=5"]]))
        else:
            run = draw.choice(sorted(folder.glob("**/run.json"))).parent
            command(*_reader(draw, run))
    finally:
        file.write_bytes(content)
        shutil.rmtree(folder / "report", ignore_errors=True)


def _changed_file(draw: random.Random, file: Path, content: bytes) -> bytes:
    if file.suffix == ".json" and draw.random() < 0.8:
        changed = changed_document(draw, json.loads(content), draw.choice([1, 1, 1, 2, 4]))
        return json.dumps(changed).encode("utf-8", "surrogatepass")
    if file.suffix in (".csv", ".txt", ".json") and draw.random() < 0.7:
        return changed_text(draw, content.decode()).encode("utf-8", "surrogatepass")
    if file.suffix == ".npz" and draw.random() < 0.6:
        return changed_arrays(draw, file)
    return draw.choice([b"", changed_bytes(draw, content), changed_bytes(draw, content)])


def changed_arrays(draw: random.Random, file: Path) -> bytes:
    """The arrays of an ``.npz`` with another shape, type or content, or without one of them."""
    import io

    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = draw.choice(list(arrays))
    value = arrays[name]
    others: list[Any] = [
        value[:0], value[:1], value[:-1], value.reshape(-1), value[None], np.asarray(3), np.asarray("x"), np.zeros(0),
        value.astype(str), np.full(value.shape, 99), np.full(value.shape, -1), np.full(value.shape, np.nan),
        value[::-1],
    ]  # fmt: skip
    if draw.random() < 0.15:
        del arrays[name]
    else:
        arrays[name] = draw.choice(others) if value.ndim else np.asarray(draw.choice(["", 3, np.nan]))
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _reader(draw: random.Random, run: Path) -> list[str]:
    """A command that reads the documents of a run, and ends because its images or its model are missing."""
    return draw.choice(
        [
            ["export", str(run), "--int8", "--data", "nothing"],
            ["export", str(run), "--format", "onnx", "--data", "nothing"],
            ["bench", str(run), "--data", "nothing"],
            ["verify", str(run)],
            ["evaluate", str(run), "--corruptions", "haze", "--data", "nothing"],
            ["train", "--run", str(run), "--resume", "--data", "nothing"],
        ]
    )


# Image folders


def prepare_images(work: Workspace) -> None:
    folder = work.path / "images"
    numbers = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
        for number, suffix in enumerate(("png", "jpg", "gif", "bmp", "webp", "tiff", "png", "jpg")):
            Image.fromarray(numbers.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
                folder / name / f"{number}.{suffix}"
            )
    work.guard(folder)


def image(draw: random.Random, work: Workspace) -> None:
    """One more file in an image folder: a damaged picture, something else, or an odd name."""
    images = work.path / "images"
    source = draw.choice([p for p in images.glob("*/*") if p in work.guarded])
    content = changed_bytes(draw, source.read_bytes())
    if draw.random() < 0.3:
        content = draw.choice(
            [b"", b"\0", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", b"<html></html>",
            b"%PDF-1.4",
             b"\0\0\0\x18ftypheic" + bytes(40), b"\0\0\0\x18ftypavif" + bytes(40), b"GIF89a", b"\x89PNG\r\n\x1a\n",
             b"P6 99999999 99999999 255\n"]
        )  # fmt: skip
    name = draw.choice(
        [
            "odd.png",
            "odd.jpg",
            "odd",
            "\u00e9\u2028.png",
            "a\nb.png",
            "-x.png",
            ".hidden.png",
            "o d d.PNG",
            "odd.txt",
            "x" * 200 + ".png",
        ]
    )
    file = images / draw.choice(["a", "b", "c", "odd class", "-", "\u202e"]) / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    try:
        command(*draw.choice([["data", "audit", images], ["init", images, "-o", work.path / "r.yaml", "--force"]]))
    finally:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    work.check()


def prepare_cache(work: Workspace) -> None:
    prepare_images(work)
    os.environ["EDGEKIT_CACHE"] = str(work.path / "cache")
    command("data", "audit", work.path / "images")


def cache(draw: random.Random, work: Workspace) -> None:
    """A file of the cache that was altered or damaged is made again."""
    os.environ["EDGEKIT_CACHE"] = str(work.path / "cache")
    file = draw.choice([p for p in sorted((work.path / "cache").rglob("*")) if p.is_file() and p.name != ".lock"])
    content = file.read_bytes()
    changed = _changed_file(draw, file, content)
    file.write_bytes(changed)
    try:
        answer = command("data", "audit", work.path / "images", "--json")
        if answer.code not in (0, 3):
            raise Finding(f"exit code {answer.code}\n{answer.stderr}")
    finally:
        file.write_bytes(content)


# Models and labels


def metadata(draw: random.Random, work: Workspace) -> None:
    """Labels and scaling of a TFLite file, read without opening it."""
    from edgekit.device import metadata as reader

    source = draw.choice(sorted(file for file in work.guarded if file.suffix == ".tflite"))
    file = work.path / "changed.tflite"
    content = source.read_bytes()
    if draw.random() < 0.5:  # within the archive at its end
        at = max(content.find(b"PK"), 0)
        content = content[:at] + changed_bytes(draw, content[at:])
    else:
        content = changed_bytes(draw, content)
    file.write_bytes(content)
    call(
        lambda: (reader._tflite_labels(str(file)), reader._tflite_scaling(str(file)), reader._tflite_images(str(file)))
    )


def prepare_models(work: Workspace) -> None:
    import modelfiles

    folder = work.path / "models"
    folder.mkdir()
    onnx, tflite = work.path / "onnx", work.path / "tflite"
    onnx.mkdir()
    tflite.mkdir()
    for file in [*modelfiles._write_onnx(onnx).glob("*.onnx"), *modelfiles._write_tflite(tflite).glob("*.tflite")]:
        shutil.copy(file, folder / f"{file.suffix[1:]}-{file.name}")
    Image.fromarray(modelfiles.colour_pixels("red")).save(work.path / "red.png")
    work.guard(folder)


def model(draw: random.Random, work: Workspace) -> None:
    source = draw.choice(sorted(work.guarded))
    file = work.path / f"changed{source.suffix}"
    file.write_bytes(changed_bytes(draw, source.read_bytes()))
    extra = draw.choice([[], ["--scaling", "unit"], ["--top", "9"]])
    command("predict", file, work.path / "red.png", *extra)
    work.check()


def labels(draw: random.Random, work: Workspace) -> None:
    from edgekit.documents.labels_file import read_labels_file

    text = "\n".join(
        draw.choice(
            [
                ["cat", "dog"],
                ["0 cat", "1 dog"],
                ['{"cat": 0,', '"dog": 1}'],
                ['["cat",', '"dog"]'],
                ["name,index", "cat,0"],
            ]
        )
    )
    content = changed_text(draw, text).encode("utf-8", "surrogatepass")
    file = work.path / draw.choice(["labels.txt", "labels.json", "labels.csv", "labels"])
    file.write_bytes(changed_bytes(draw, content) if draw.random() < 0.3 else content)
    call(lambda: read_labels_file(file))


# Targets and devices

TARGETS = """
# my machines
[pi4]
host = "pi@pi4.local"
port = 22
python = "python3"
threads = [1, 4]
[nas]
host = "nas"
ssh_config = "~/.ssh/config"
workdir = "~/edgekit"
"""


def targets_file(draw: random.Random, work: Workspace) -> None:
    folder = work.path / "project"
    folder.mkdir(exist_ok=True)
    file = folder / "targets.toml"
    before = changed_text(draw, TARGETS).encode("utf-8", "surrogatepass")
    file.write_bytes(changed_bytes(draw, before) if draw.random() < 0.1 else before)
    content = file.read_bytes()
    with working_folder(folder):
        answer = command(
            "target", *draw.choice([["list"], ["remove", "pi4"], ["add", "pi5", "pi@pi5"], ["remove", "nothing"]])
        )
    if answer.code != 0 and file.read_bytes() != content:
        raise Finding(f"the file was changed by a command that failed\n{answer.stderr}")


def device_event(draw: random.Random, work: Workspace) -> None:
    from edgekit.errors import TargetError
    from edgekit.targets.event_shapes import InvalidAnswer, check_shape, parse_line

    verb, event = draw.choice(_EVENTS)
    line = json.dumps(changed_document(draw, event)).encode("utf-8", "surrogatepass")
    if draw.random() < 0.3:
        line = changed_bytes(draw, line)

    def receive() -> None:
        try:
            check_shape(parse_line(line), verb)
        except (InvalidAnswer, TargetError):
            return

    call(receive)


_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("predict", {"event": "prediction", "key": "a", "file": "x.png", "probabilities": [0.1, 0.9]}),
    ("memory", {"event": "memory", "key": "a", "threads": 1, "baseline_rss_bytes": 1, "peak_rss_bytes": 3,
    "peak_was_reset": True}),
    ("latency", {"event": "block", "key": "a", "round": 0, "ns": [1, 2, 3]}),
    ("verify", {"event": "failed", "key": "a", "reason": "NaN", "runtime": {"name": "litert", "version": "1",
    "delegate": "none"}}),
    ("have", {"event": "have", "missing": ["0" * 64]}),
    ("probe", {"event": "done"}),
    ("probe", {"event": "error", "error": "input", "reason": "no such file", "where": "/x"}),
]  # fmt: skip


# Streams: real processes


def stream(draw: random.Random, work: Workspace) -> None:
    arguments = draw.choice(
        [["list", "backbones"], ["--help"], ["--version"], ["evaluate", "n\u00f6 run"], ["train", "--fly"], ["list",
        "formats", "--json"],
         ["evaluate", "nothing", "--json"], ["report", str(work.path / "run")]]
    )  # fmt: skip
    redirection = draw.choice(
        [
            "",
            ">&-",
            "2>&-",
            "<&-",
            ">&- 2>&-",
            "<&- >&- 2>&-",
            ">/dev/full",
            "2>/dev/full",
            "&>/dev/full",
            "| head -c 9",
            "2>&1 | head -c 9",
        ]
    )
    environment = draw.choice(
        [{}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"PYTHONUNBUFFERED": "1"},
         {"TERM": "dumb"}, {"TERM": ""}, {"COLUMNS": "1"}, {"COLUMNS": "x"}, {"COLUMNS": "0"}, {"HOME": ""},
         {"HOME": "/nonexistent"},
         {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"XDG_CONFIG_HOME": "/dev/null"}, {"EDGEKIT_CACHE": "/dev/null/x"}]
    )  # fmt: skip
    process(arguments, environment=environment, shell=redirection)


AREAS: dict[str, Area] = {
    "recipes": Area(no_preparation, recipe, 280),
    "settings": Area(no_preparation, setting, 300),
    "options": Area(prepare_documents, options, 70),
    "documents": Area(prepare_documents, document, 40),
    "images": Area(prepare_images, image, 30),
    "models": Area(prepare_models, model, 8),
    "cache": Area(prepare_cache, cache, 15),
    "metadata": Area(prepare_models, metadata, 40),
    "labels": Area(no_preparation, labels, 90),
    "targets": Area(no_preparation, targets_file, 50),
    "events": Area(no_preparation, device_event, 70),
    "streams": Area(prepare_documents, stream, 7),
}
assert sum(area.share for area in AREAS.values()) == 1000
