"""`edgekit deploy --sample`: a minimal program around an exported file, in the language of an application."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.model_collection import collect_models
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.device.failures import DeviceError
from edgekit.device.golden import read_golden
from edgekit.device.pixel_range import FULL
from edgekit.device.runtimes import Model, open_model
from edgekit.errors import EdgekitError, InputError
from edgekit.support.os_errors import check_writable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress
from edgekit.support.quiet import quiet_native_output
from edgekit.web.assets import PAGE

TEMPLATES = Path(__file__).parent / "sample_files"
"""A folder for each language. In files with the suffix ``.in``, ``@NAME@`` stands for a value."""

PACKAGES = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}


@dataclass(frozen=True)
class Language:
    """What a sample of a language consists of. ``formats``: of the exported files that it can run."""

    name: str
    formats: tuple[str, ...]
    files: tuple[str, ...]
    check: str
    """The command that classifies the images in ``check``."""
    decode: str
    """What it does with an image file, for the README."""
    output: str
    shared: Mapping[str, Path] | None = None
    """Files from elsewhere in edgekit, by their names in the sample."""


LANGUAGES: dict[str, Language] = {
    "python": Language(
        "Python",
        ("tflite", "onnx"),
        ("classify.py.in",),
        ".venv/bin/python classify.py check/*.png",
        "It decodes the image with Pillow, turns it upright by its EXIF orientation, and puts transparent pixels on "
        "white.",
        "It reads the probability of each class. A quantized output is a number q with `probability = scale * (q - "
        "zero_point)`.",
    ),
    "c": Language(
        "C",
        ("tflite",),
        ("classify.c", "decode.c", "resize.c", "image.h", "litert.h", "settings.h.in", "Makefile"),
        "./classify check/*.png",
        "It decodes JPEG with libjpeg and PNG with libpng, turns the image upright by its EXIF orientation, and puts "
        "transparent pixels on white. PNG with 16 bits per channel and JPEG with CMYK are refused.",
        "It reads the probability of each class. A quantized output is a number q with `probability = OUTPUT_SCALE * "
        "(q - OUTPUT_ZERO_POINT)`.",
    ),
    "javascript": Language(
        "JavaScript",
        ("onnx",),
        ("classify.js", "classifier.js.in", "package.json"),
        "node classify.js check/*.png",
        "It decodes the image with sharp, turns it upright by its EXIF orientation, and puts transparent pixels on "
        "white. A large JPEG is reduced to 1/2, 1/4 or 1/8 by averaging, which is close to what edgekit's own decoder "
        "does, but not the same.",
        "It reads the probability of each class.",
        {name: PAGE / "js" / name for name in ("resize.js", "orientation.js")},
    ),
    "kotlin": Language(
        "Kotlin",
        ("onnx",),
        ("Classifier.kt.in", "Image.kt", "Main.kt.in"),
        "java -cp classify.jar:onnxruntime-1.22.0.jar edgekit.sample.MainKt check/*.png",
        "It decodes the image with ImageIO. EXIF orientation is not applied.",
        "It reads the probability of each class.",
    ),
}


@dataclass(frozen=True)
class Sample:
    """A sample that was written. ``file``: the name of the model in ``folder``."""

    language: str
    folder: Path
    model_id: str
    file: str
    files: tuple[str, ...]


def write_sample(
    run: Path, language: str, folder: Path, *, export: str | None = None, progress: Progress = SILENT
) -> Sample:
    """Write a program that classifies images with an exported file of ``run`` into the new folder ``folder``.

    ``language``: a key of :data:`LANGUAGES`. Raises :class:`InputError` for an unknown language, a folder that is not
    empty, a third-party model, and a run that has no single exported file for the language.
    """
    if language not in LANGUAGES:
        raise InputError(f"unknown language {language!r}", hint=f"choose one of: {', '.join(LANGUAGES)}")
    chosen = LANGUAGES[language]
    folder = expanded(folder).absolute()
    _check_folder(folder)
    model = _chosen(collect_models([run], ThirdPartyOptions(), progress, results=False), chosen, export, run)
    values = _values(model, chosen)
    files = _contents(model, chosen, values)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        part = Path(scratch, "sample")
        for name, content in files.items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.copyfile(model.path, part / values["MODEL"])
        part.rename(folder)  # an empty folder of that name is replaced
    return Sample(language, folder, model.id, values["MODEL"], tuple(sorted([*files, values["MODEL"]])))


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "this folder is not empty, and a sample that you have changed would be overwritten",
            where=str(folder),
            hint="use a new folder: -o DIR",
        )
    check_writable(folder, hint="use another folder: -o DIR")


def _chosen(models: list[MeasuredModel], language: Language, export: str | None, run: Path) -> MeasuredModel:
    if any(model.run is None for model in models):
        raise InputError(
            "a sample is written around an exported file of a run",
            where=str(run),
            hint="edgekit import makes a run of a Keras model",
        )
    fitting = [model for model in models if model.format in language.formats and export in (None, model.key)]
    if len(fitting) == 1:
        return fitting[0]
    formats = " or ".join(name.upper() if name == "onnx" else "TFLite" for name in language.formats)
    found = [model.key for model in models if model.format in language.formats]
    if not found:
        missing = f"--format {language.formats[0]}"
        raise InputError(
            f"a {language.name} sample runs {formats} files, and this run has none",
            where=str(run),
            hint=f"edgekit export {run} {missing}",
        )
    raise InputError(
        f"a {language.name} sample runs one {formats} file; found: {', '.join(found)}",
        where=str(run),
        hint="choose one with --export NAME",
    )


def _values(model: MeasuredModel, language: Language) -> dict[str, str]:
    """What the names in the templates stand for."""
    opened = _opened(model)
    labels = model.labels or ()
    if any(not label.strip() or re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", label) for label in labels):
        raise InputError("a class name is empty or has control characters, which a labels file cannot hold")
    resize = model.resize or "stretch"
    output = opened.output
    c_types = {"uint8": "uint8_t", "int8": "int8_t", "float32": "float"}
    usage = _filled(
        TEMPLATES / _folder(language) / "README.md.in",
        {"MODEL": f"model.{model.format}", "PACKAGE": PACKAGES[model.format]},
    )
    return {
        "TITLE": f"Classify images in {language.name}",
        "MODEL_ID": re.sub(r"[^\w./ -]", "_", model.id),
        "MODEL": f"model.{model.format}",
        "SHA256": model.sha256,
        "PACKAGE": PACKAGES[model.format],
        "HEIGHT": str(opened.input.height),
        "WIDTH": str(opened.input.width),
        "RESIZE": resize,
        "RESIZE_UPPER": resize.upper(),
        "PILLOW": str(_pillow_version(model)),
        "CLASSES": str(len(labels)),
        "OUTPUT_C_TYPE": c_types[output.dtype],
        "OUTPUT_SCALE": repr(float(np.float32(output.scale or 1.0))),
        "OUTPUT_ZERO_POINT": str(output.zero_point),
        "LABELS_C": ", \\\n".join(f"        {_c_string(label)}" for label in labels),
        "RUNTIME": (TEMPLATES / "python" / f"runtime_{model.format}.py.in").read_text(encoding="utf-8").rstrip(),
        "USAGE": usage.rstrip(),
        "CHECK": language.check,
        "DECODE": language.decode,
        "OUTPUT": language.output,
    }


def _pillow_version(model: MeasuredModel) -> int:
    """The major version of Pillow that resized the images of the run; that of this machine if it is not known."""
    versions = model.run.environment.versions if model.run is not None else {}
    named = next((version for name, version in versions.items() if name.lower() == "pillow"), PIL.__version__)
    return int(named.partition(".")[0])


def _folder(language: Language) -> str:
    return next(key for key, value in LANGUAGES.items() if value is language)


def _opened(model: MeasuredModel) -> Model:
    """The exported file, opened. Raises :class:`InputError` if a sample cannot feed it."""
    try:
        with quiet_native_output():
            opened = open_model(str(model.path))
    except DeviceError as error:
        raise InputError(f"this machine cannot open the exported file: {error.reason}", where=error.where) from None
    given = opened.input
    if (given.dtype, given.layout, given.channels, given.batch) != ("uint8", "NHWC", 3, 1):
        raise InputError(
            "a sample feeds one RGB image of unsigned 8-bit pixels, and this file takes something else",
            where=str(model.path),
        )
    if model.pixel_range not in (None, FULL):
        raise InputError(
            "a sample reads images with 8 bits per channel, and this model was trained on scans with more",
            where=str(model.path),
        )
    return opened


def _contents(model: MeasuredModel, language: Language, values: Mapping[str, str]) -> dict[str, bytes]:
    """The files of the sample but for the model, by POSIX path."""
    folder = TEMPLATES / _folder(language)
    found = {"README.md": _filled(TEMPLATES / "README.md.in", values).encode()}
    for name in language.files:
        source = folder / name
        if name.endswith(".in"):
            found[name[: -len(".in")]] = _filled(source, values).encode()
        else:
            found[name] = source.read_bytes()
    for name, source in (language.shared or {}).items():
        found[name] = source.read_bytes()
    found["labels.txt"] = "".join(f"{label}\n" for label in model.labels or ()).encode()
    return {**found, **_check_files(model)}


def _check_files(model: MeasuredModel) -> dict[str, bytes]:
    """The golden inputs as PNG files, and the class and probability of each."""
    try:
        inputs, outputs = read_golden(str(model.golden))
    except (DeviceError, OSError) as error:
        raise InputError(
            "this file has no golden outputs", where=str(model.golden), hint="`edgekit export` creates them"
        ) from error
    found: dict[str, bytes] = {}
    lines = []
    for number, (pixels, scores) in enumerate(zip(inputs, outputs)):
        name = f"check/{number}.png"
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        found[name] = content.getvalue()
        top = int(scores.argmax())
        lines.append(f"{name}  {(model.labels or ())[top]} {scores[top]:.2%}\n")
    return {**found, "check/expected.txt": "".join(lines).encode()}


def _filled(path: Path, values: Mapping[str, str]) -> str:
    """The template with its names replaced."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise EdgekitError(f"the template {path.name} has an unknown name {match[1]}")
        return values[match[1]]

    return re.sub(r"@([A-Z0-9_]+)@", value, path.read_text(encoding="utf-8"))


def _c_string(text: str) -> str:
    """A string literal of C with only ASCII characters in it."""
    plain = "".join(f"\\{byte:03o}" if byte in b'"\\?' or not 32 <= byte < 127 else chr(byte) for byte in text.encode())
    return f'"{plain}"'
