"""Sample programs: built, run, and compared with the golden outputs and with edgekit's own decoder."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
import pytest
from modelfiles import write_colours
from PIL import Image
from runfolders import golden_outputs, make_run

import edgekit
from edgekit.bench.samples import LANGUAGES, TEMPLATES, write_sample
from edgekit.cli.app import main
from edgekit.device.golden import read_golden
from edgekit.device.images import load_image
from edgekit.device.resizing import fitted_pixels
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError

SIDE = 32
PILLOW = int(PIL.__version__.partition(".")[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory, onnx_models, tflite_models) -> RunFolder:
    folder = tmp_path_factory.mktemp("samples")
    files = {
        "onnx-fp32": onnx_models / "uint8.onnx",
        "tflite-fp32": tflite_models / "uint8.tflite",
        "tflite-int8": tflite_models / "quantized.tflite",
    }
    return golden_outputs(make_run(folder / "run", files, write_colours(folder / "colours", 3)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Images of many kinds; one is larger than 4 x the size of the model, and two are turned by their EXIF data."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (9, 11, 3), np.uint8)).resize((301, 157), Image.Resampling.BICUBIC)
    noisy = np.asarray(coarse).astype(int) + random.integers(-20, 21, (157, 301, 3))
    image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "rgb.png")
    image.rotate(90, expand=True).save(folder / "tall.png")
    image.convert("L").save(folder / "grey.png")
    image.quantize(32).save(folder / "palette.png")
    image.convert("1").save(folder / "black-and-white.png")
    clear = image.convert("RGBA")
    clear.putalpha(Image.fromarray(random.integers(0, 256, (157, 301), np.uint8)))
    clear.save(folder / "alpha.png")
    image.resize((20, 13)).save(folder / "small.png")
    image.crop((0, 0, SIDE, SIDE)).save(folder / "exact.png")
    image.save(folder / "turned.png", exif=exif)
    image.crop((0, 0, 120, 60)).save(folder / "photo.jpg", quality=90)
    image.convert("L").crop((0, 0, 100, 63)).save(folder / "grey.jpg")
    image.resize((900, 700)).save(folder / "large.jpg", quality=90, progressive=True)
    image.crop((0, 0, 63, 50)).save(folder / "turned.jpg", quality=95, exif=exif)
    return folder


def with_resize(run: RunFolder, tmp_path: Path, resize: str) -> RunFolder:
    """A copy of ``run`` whose images were resized in another way."""
    copy = RunFolder(tmp_path / f"run-{resize}")
    shutil.copytree(run.path, copy.path)
    for export in copy.done_exports():
        export.read_export().model_copy(update={"resize": resize}).write(export.export_json)
    return copy


def output_of(command: list[object], folder: Path) -> dict[str, tuple[str, float]]:
    """By image: the class and the percentage that the program prints."""
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("  ") for line in done.stdout.splitlines()]
    return {path: (top.rpartition(" ")[0], float(top.rpartition(" ")[2].rstrip("%"))) for path, top, *_ in rows}


def check_golden(run: RunFolder, key: str, sample: Path, command: list[object]) -> None:
    """The program gives the golden outputs for the images in ``check``."""
    names = sorted(path.relative_to(sample).as_posix() for path in sample.glob("check/*.png"))
    found = output_of([*command, *names], sample)
    _, outputs = read_golden(str(run.export(key).golden))
    labels = run.export(key).read_export().labels
    assert [found[f"check/{i}.png"][0] for i in range(len(outputs))] == [labels[row.argmax()] for row in outputs]
    for number, row in enumerate(outputs):
        assert found[f"check/{number}.png"][1] == pytest.approx(100 * row.max(), abs=0.006)
    expected = (sample / "check" / "expected.txt").read_text().splitlines()
    assert expected[0] == f"check/0.png  {labels[outputs[0].argmax()]} {outputs[0].max():.2%}"


@pytest.mark.parametrize("key", ["onnx-fp32", "tflite-int8"])
def test_python(run, pictures, tmp_path, key):
    done = edgekit.sample_program(run.path, "python", tmp_path / "sample", export=key)
    assert (done.folder, done.file) == (tmp_path / "sample", f"model.{key.partition('-')[0]}")
    check_golden(run, key, tmp_path / "sample", [sys.executable, "classify.py"])


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_python_reads_the_pixels_that_edgekit_reads(run, pictures, tmp_path, resize):
    write_sample(with_resize(run, tmp_path, resize).path, "python", tmp_path / "sample", export="onnx-fp32")
    module: dict[str, object] = {"__name__": "sample", "__file__": str(tmp_path / "sample" / "classify.py")}
    exec((tmp_path / "sample" / "classify.py").read_text(), module)
    for path in pictures.iterdir():
        assert np.array_equal(module["read_image"](path), load_image(path, SIDE, resize)), path.name  # type: ignore[operator]


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None or shutil.which("make") is None:
        pytest.skip("there is no C compiler or no make here (sudo apt install gcc make)")
    return found


@pytest.fixture(scope="module")
def with_codecs(compiler) -> str:
    """The compiler, where the headers of libjpeg and libpng are installed."""
    source = "#include <stdio.h>\n#include <jpeglib.h>\n#include <png.h>\nint main(void) { return 0; }\n"
    done = subprocess.run(
        [compiler, "-x", "c", "-fsyntax-only", "-"], input=source, text=True, capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("the headers of libjpeg and libpng are not installed (sudo apt install libjpeg-dev libpng-dev)")
    return compiler


@pytest.mark.parametrize("key", ["tflite-fp32", "tflite-int8"])
def test_c(run, with_codecs, tmp_path, key):
    pytest.importorskip("ai_edge_litert")
    sample = tmp_path / "sample with spaces"
    write_sample(run.path, "c", sample, export=key)
    built = subprocess.run(
        ["make", f"PYTHON={sys.executable}", "CFLAGS=-O1 -Wall -Wextra -Wpedantic -Werror"],
        cwd=sample,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    check_golden(run, key, sample, ["./classify"])


DUMP = """
#include <stdio.h>
#include "image.h"
#include "settings.h"
int main(int count, char **paths) {
    for (int i = 1; i < count; i++) {
        Image image = read_image(paths[i], 2 * SIDE), small = resized_image(&image, WIDTH, HEIGHT, RESIZE);
        fwrite(small.pixels, 3, WIDTH * HEIGHT, stdout);
    }
    return 0;
}
"""


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_c_reads_the_pixels_that_edgekit_reads(run, pictures, with_codecs, tmp_path, resize):
    """JPEG at 1/2 to 1/8 of its size, too, since the decoders are the same. Nothing is read out of bounds."""
    sample = tmp_path / "sample"
    write_sample(with_resize(run, tmp_path, resize).path, "c", sample, export="tflite-fp32")
    (sample / "dump.c").write_text(DUMP)
    checks = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover", f"-DSIDE={SIDE}"]
    files = ["dump.c", "decode.c", "resize.c"]
    command = [with_codecs, "-std=c99", *checks, *files, "-o", "dump", "-ljpeg", "-lpng", "-lm"]
    subprocess.run(command, cwd=sample, check=True)
    paths = sorted(pictures.iterdir())

    def dump(*images: Path) -> subprocess.CompletedProcess[bytes]:
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}
        return subprocess.run(["./dump", *images], cwd=sample, capture_output=True, check=False, env=environment)

    done = dump(*paths)
    assert done.returncode == 0, done.stderr.decode()
    found = np.frombuffer(done.stdout, np.uint8).reshape(len(paths), SIDE, SIDE, 3).astype(int)
    for path, pixels in zip(paths, found):
        difference = np.abs(pixels - load_image(path, SIDE, resize)).max()
        # Pillow's own build of libjpeg may round differently from that of the system.
        assert difference <= (2 if path.suffix == ".jpg" else 0), path.name
    large = (pictures / "large.jpg").read_bytes()
    odd = {b"GIF89a" + bytes(9): "JPEG and PNG", b"x": "not an image", large[:5000]: "", b"\xff\xd8" + bytes(99): ""}
    for content, reason in odd.items():
        (sample / "odd").write_bytes(content)
        refused = dump(sample / "odd")
        assert refused.returncode == 1
        assert reason in refused.stderr.decode()
    assert "cannot read" in dump(sample / "missing").stderr.decode()


class CImage(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int), ("height", ctypes.c_int), ("pixels", ctypes.POINTER(ctypes.c_ubyte))]


@pytest.fixture(scope="module")
def c_resize(compiler, tmp_path_factory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("resize")
    for name in ("resize.c", "image.h"):
        shutil.copy(TEMPLATES / "c" / name, folder)
    (folder / "settings.h").write_text(f"#define PILLOW {PILLOW}\n")
    (folder / "fail.c").write_text(
        "#include <stdlib.h>\nvoid fail(const char *a, const char *b) { (void)a, (void)b; abort(); }\n"
    )
    command = [compiler, "-std=c99", "-O1", "-shared", "-fPIC", "resize.c", "fail.c", "-o", "resize.so", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "resize.so"))
    library.resized_image.restype = CImage
    return library


def shapes(count: int) -> Iterator[tuple[np.ndarray, int, int, str]]:
    """Images and the sizes that they are brought to, with their resize."""
    random = np.random.default_rng(4)
    for number in range(count):
        height, width, new_height, new_width = (int(side) for side in random.integers(1, (200, 200, 70, 70)))
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        yield pixels, new_height, new_width, ("stretch", "crop", "pad")[number % 3]


def test_c_resizes_as_pillow_does(c_resize):
    for pixels, height, width, resize in shapes(240):
        memory = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_ubyte))
        image = CImage(pixels.shape[1], pixels.shape[0], memory)
        how = ("stretch", "crop", "pad").index(resize)
        found = c_resize.resized_image(ctypes.byref(image), width, height, how)
        result = np.ctypeslib.as_array(found.pixels, (height, width, 3))
        expected = fitted_pixels(pixels, (height, width), resize)
        assert np.array_equal(result, expected), (pixels.shape, height, width, resize)


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node.js is not installed")
    return found


@pytest.fixture(scope="module")
def node_modules(node, tmp_path_factory) -> Path:
    """The packages of the JavaScript sample, from the npm registry."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(TEMPLATES / "javascript" / "package.json", folder)
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the npm packages cannot be installed here: {done.stderr[-200:]}")
    return folder / "node_modules"


@pytest.mark.slow
def test_javascript(run, node, node_modules, tmp_path):
    sample = tmp_path / "sample"
    write_sample(run.path, "javascript", sample)
    (sample / "node_modules").symlink_to(node_modules)
    check_golden(run, "onnx-fp32", sample, [node, "classify.js"])
    done = subprocess.run([node, "classify.js", "missing.png"], cwd=sample, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: missing.png: ")


@pytest.mark.slow
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_javascript_reads_the_pixels_that_edgekit_reads(run, pictures, node, node_modules, tmp_path, resize):
    """JPEG that edgekit decodes at a fraction of its size comes close; everything else is the same."""
    sample = tmp_path / "sample"
    write_sample(with_resize(run, tmp_path, resize).path, "javascript", sample)
    (sample / "node_modules").symlink_to(node_modules)
    script = 'import { readImage } from "./classifier.js";\nfor (const path of process.argv.slice(2)) '
    (sample / "dump.js").write_text(f"{script}process.stdout.write(await readImage(path));\n")
    paths = sorted(pictures.iterdir())
    done = subprocess.run([node, "dump.js", *paths], cwd=sample, capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.uint8).reshape(len(paths), SIDE, SIDE, 3).astype(int)
    for path, pixels in zip(paths, found):
        difference = np.abs(pixels - load_image(path, SIDE, resize))
        if path.name == "large.jpg":
            assert difference.mean() < 1, path.name
        else:
            assert difference.max() <= (2 if path.suffix == ".jpg" else 0), path.name


@pytest.fixture(scope="module")
def kotlin(tmp_path_factory) -> tuple[list[str], str]:
    """The command of Kotlin's compiler, from the jar files of JetBrains' package for Jupyter, and its library."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java here (sudo apt install default-jdk-headless)")
    folder = tmp_path_factory.mktemp("kotlin")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "kotlin-jupyter-kernel"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the Kotlin compiler cannot be downloaded here: {done.stderr[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    jars = folder / "run_kotlin_kernel" / "jars"
    library = str(next(jars.glob("kotlin-stdlib-*.jar")))
    compiler = ["java", "-cp", f"{jars}/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect"]
    return compiler, library


# What Classifier.kt uses of ONNX Runtime's Java interface, whose package these tests do not have.
ONNX_RUNTIME = """
package ai.onnxruntime
enum class OnnxJavaType { UINT8 }
interface OnnxValue : AutoCloseable { val value: Any }
abstract class OnnxTensor : OnnxValue {
    companion object {
        @JvmStatic fun createTensor(
            environment: OrtEnvironment, data: java.nio.ByteBuffer, shape: LongArray, type: OnnxJavaType
        ): OnnxTensor = TODO()
    }
}
abstract class OrtSession : AutoCloseable {
    abstract val inputNames: Set<String>
    abstract fun run(inputs: Map<String, OnnxTensor>): Result
    abstract class Result : AutoCloseable { abstract operator fun get(index: Int): OnnxValue }
}
abstract class OrtEnvironment {
    abstract fun createSession(model: ByteArray): OrtSession
    companion object { @JvmStatic fun getEnvironment(): OrtEnvironment = TODO() }
}
"""

RESIZE_ALL = """
package edgekit.sample
import java.io.DataInputStream
fun main() {
    val given = DataInputStream(System.`in`.buffered())
    while (true) {
        val height = given.readInt()
        if (height == 0) break
        val width = given.readInt()
        val newHeight = given.readInt()
        val newWidth = given.readInt()
        val how = Resize.values()[given.readInt()]
        val pixels = ByteArray(3 * height * width)
        given.readFully(pixels)
        System.out.write(Image(width, height, pixels).resized(newWidth, newHeight, how).pixels)
    }
    System.out.flush()
}
"""


@pytest.mark.slow
def test_kotlin(run, kotlin, tmp_path):
    """All of it compiles, against declarations of ONNX Runtime's interface. Its resize runs, and is Pillow's."""
    compiler, library = kotlin
    sample = tmp_path / "sample"
    write_sample(run.path, "kotlin", sample)
    (sample / "OnnxRuntime.kt").write_text(ONNX_RUNTIME)
    (sample / "ResizeAll.kt").write_text(RESIZE_ALL)
    files = [path.name for path in sample.glob("*.kt")]
    options = ["-Werror", "-classpath", library, "-d", "compiled"]
    built = subprocess.run([*compiler, *files, *options], cwd=sample, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    given, expected = b"", b""
    for pixels, height, width, resize in shapes(240):
        how = ("stretch", "crop", "pad").index(resize)
        given += np.array([*pixels.shape[:2], height, width, how], ">i4").tobytes() + pixels.tobytes()
        expected += fitted_pixels(pixels, (height, width), resize).tobytes()
    command = ["java", "-cp", f"compiled:{library}", "edgekit.sample.ResizeAllKt"]
    done = subprocess.run(command, cwd=sample, input=given + bytes(4), capture_output=True, check=True)
    assert done.stdout == expected


def command_line(capsys, *arguments: object) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out + captured.err


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sample_is_complete(run, tmp_path, capsys, language):
    key = "onnx-fp32" if "onnx" in LANGUAGES[language].formats else "tflite-int8"
    words = ("deploy", run.path, "--sample", language, "--export", key, "-o", tmp_path / "sample", "--json")
    code, text = command_line(capsys, *words)
    assert code == 0, text
    report = json.loads(text)
    sample = tmp_path / "sample"
    assert sorted(report["files"]) == sorted(
        path.relative_to(sample).as_posix() for path in sample.rglob("*") if path.is_file()
    )
    model = run.export(key).model()
    assert (sample / f"model{model.suffix}").read_bytes() == model.read_bytes()
    assert (sample / "labels.txt").read_text() == "blue\ngreen\nred\n"
    for path in sample.glob("*.*"):
        if path.suffix in (".md", ".py", ".c", ".h", ".js", ".kt"):
            assert "@" not in path.read_text().replace("@Suppress", ""), path.name
    readme = (sample / "README.md").read_text()
    assert ("Not run here" in readme) == (language == "kotlin")
    assert [path.name for path in tmp_path.iterdir()] == ["sample"], "nothing is left beside it"


def test_wrong_use_is_explained(run, tmp_path, capsys, onnx_models):
    def said(*words: object) -> str:
        code, text = command_line(capsys, "deploy", *words)
        assert code == 2, text
        assert "Traceback" not in text
        return text

    out = ("-o", tmp_path / "new")
    assert "unknown language 'rust'" in said(run.path, "--sample", "rust", *out)
    assert "a Python sample runs one TFLite or ONNX file; found: onnx-fp32, tflite-fp32" in said(
        run.path, "--sample", "python", *out
    )
    assert "a C sample runs TFLite files" in said(run.path / "exports" / "onnx-fp32", "--sample", "c", *out)
    assert "needs a folder" in said(run.path, "--sample", "python")
    assert "either a target or the language" in said(run.path, *out)
    assert "either a target or the language" in said(run.path, "--sample", "c", "--target", "web", *out)
    assert "--update is not for a sample program" in said(run.path, "--sample", "c", "--update", *out)
    assert "--scaling is not for a sample program" in said(run.path, "--sample", "c", "--scaling", "unit", *out)
    assert "exported file of a run" in said(onnx_models / "uint8.onnx", "--sample", "python", *out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    assert "not empty" in said(run.path, "--sample", "javascript", "-o", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert not (tmp_path / "new").exists()


def test_odd_class_names(run, tmp_path, compiler):
    """They are data: in C source, too."""
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    names = ('say "hi"\\n %s ??/', "größer 1", "*/ # 9")
    for export in copy.done_exports():
        export.read_export().model_copy(update={"labels": names}).write(export.export_json)
    write_sample(copy.path, "c", tmp_path / "sample", export="tflite-int8")
    program = '#include <stdio.h>\n#include "settings.h"\nstatic const char *const L[CLASSES] = LABELS_OF_MODEL;\n'
    program += "int main(void) { for (int i = 0; i < CLASSES; i++) puts(L[i]); return 0; }\n"
    (tmp_path / "sample" / "show.c").write_text(program)
    subprocess.run([compiler, "-std=c99", "-Werror", "show.c", "-o", "show"], cwd=tmp_path / "sample", check=True)
    shown = subprocess.run(["./show"], cwd=tmp_path / "sample", capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == list(names)
    for export in copy.done_exports():
        export.read_export().model_copy(update={"labels": ("a\nb", "c", "d")}).write(export.export_json)
    with pytest.raises(InputError, match="control characters"):
        write_sample(copy.path, "c", tmp_path / "other", export="tflite-int8")
