"""The bench on real runtimes: a run folder and third-party models, from the command line to the documents."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from modelfiles import LABELS, colour_pixels
from PIL import Image
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.bench.session import bench
from edgekit.bench.settings import BenchOptions
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.cli.app import main
from edgekit.cli.render.bench_tables import bench_text
from edgekit.documents.bench import BenchResult, run_results
from edgekit.documents.bench_summary import BenchSummary
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError, TargetError
from edgekit.report.model.sessions import bench_summary, comparisons
from edgekit.support.files import gzip_size

SHIPPED = dict(PROTOCOLS)
TINY = protocol_of("quick", 2, 4, (4, 100_000), (10, 1_000_000))
ROW_KEYS = {
    "run_id", "backbone", "strategy", "seed", "accuracy", "n_samples", "accuracy_ci95", "format", "scheme",
    "size_bytes", "gzip_bytes", "sha256", "latency_ns", "latency_ms_p50", "latency_ms_p90", "latency_ms_p95",
    "latency_ms_p99", "peak_rss_bytes", "target", "runtime", "threads", "protocol", "unstable",
}  # fmt: skip


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "quick", TINY)


@pytest.fixture
def run(tmp_path, onnx_models, tflite_models, colours) -> RunFolder:
    """A finished run as training and export leave it, its test images in ``colours``."""
    return make_run(tmp_path / "run", {"onnx-fp32": onnx_models / "uint8.onnx",
                                       "tflite-int8": tflite_models / "quantized.tflite"}, colours)  # fmt: skip


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_a_run_is_measured(run, capsys):
    assert command("bench", run.path, "--threads", "1,2", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert BenchSummary.parse(document, "--json").to_dict() == document
    assert [(row["format"], row["scheme"], row["threads"]) for row in document["results"]] == [
        ("onnx", "fp32", 1), ("onnx", "fp32", 2), ("tflite", "int8", 1), ("tflite", "int8", 2),
    ]  # fmt: skip
    for row in document["results"]:
        assert set(row) >= ROW_KEYS
        assert (row["accuracy"], row["n_samples"]) == (1.0, 15)
        assert row["accuracy_ci95"] == pytest.approx([0.796, 1], abs=1e-3)
        assert row["agreement_with_keras"] == pytest.approx(14 / 15)
        assert len(row["latency_ns"]) >= 32
        assert min(row["latency_ns"]) / 1e6 <= row["latency_ms_p50"] <= max(row["latency_ns"]) / 1e6
        assert row["peak_rss_bytes"] == row["baseline_rss_bytes"] + row["model_rss_bytes"]
        assert row["protocol"] == "quick"
    assert set(document["noise_floor"]) == {"1", "2"}
    assert len(document["comparisons"]) == 2


def test_what_is_stored(run):
    results = bench([run.path], BenchOptions())
    again = run_results(run, "local")
    assert again == results
    stored = BenchResult.read(run.bench_json("local", "tflite-int8"))
    document = stored.bench
    assert document.size_bytes == run.export("tflite-int8").model().stat().st_size
    assert document.protocol == TINY
    assert document.runtime.name == "litert"
    assert document.runtime.delegate == "XNNPACK"
    assert document.emulated is False
    latency = document.latency[0]
    assert [len(block) >= 4 for block in latency.rounds] == [True] * 8, "two repeats of four rounds"
    assert [(process.number, len(process.blocks)) for process in latency.processes] == [(0, 4), (1, 4)]
    assert (latency.sittings, len(document.sittings), document.incomplete) == (1, 1, ())
    assert len(latency.preprocess_ns) == 2 * 16
    thread_counts = {latency.threads for latency in document.latency}
    assert {(control.model, control.threads) for control in document.control} == {
        (result.id, threads) for result in results for threads in thread_counts
    }, "both files are controls"
    for control in document.control:
        assert [len(process.blocks) for process in (*control.first, *control.second)] == [4] * 4
    assert document.environment.before.cores >= 1
    assert document.environment.after.load_average is not None
    with np.load(stored.predictions_path()) as predictions:
        assert predictions["probabilities"].shape == (15, 3)
        assert predictions["files"][0] == "blue/1.png"
        assert (predictions["probabilities"].argmax(axis=1) == predictions["labels"]).all()
    assert not list(run.path.rglob(".*")), "no temporary file is left"


def test_the_tables_fit_80_columns(run, onnx_models, tmp_path):
    third_party = tmp_path / "somebody-elses-rather-long-file-name-v2.onnx"
    shutil.copy(onnx_models / "uint8.onnx", third_party)
    results = bench([run.path, third_party], BenchOptions(threads=(1, 2)))
    text = bench_text(results, bench_summary(results))
    table_lines = [line for line in text.splitlines() if not line.lstrip().startswith(("results:", "/"))]
    assert max(len(line) for line in table_lines) <= 80
    assert "mobilenetv2 tflite-int8" in text
    assert "100.0% [79.6%, 100.0%]" in text
    assert "A/A control" in text


def test_third_party_models(tmp_path, onnx_models, tflite_models, colours, capsys):
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(LABELS) + "\n")
    paths = [tflite_models / "float.tflite", tflite_models / "int8.tflite"]
    options = ["--labels", labels, "--scaling", "symmetric", "--data", colours, "--out", tmp_path / "out"]
    code = command("bench", *paths, *options, "--protocol", "quick", "--threads", 1, "--json")
    rows = json.loads(capsys.readouterr().out)["results"]
    assert code == 0
    assert [(row["accuracy"], row["n_samples"], row["run_id"], row["scheme"]) for row in rows] == [
        (1.0, 18, None, "third-party"), (1.0, 18, None, "third-party"),
    ]  # fmt: skip
    assert (tmp_path / "out/bench/local/float-tflite.json").is_file()
    options = ["--data", colours, "--out", tmp_path, "--protocol", "quick"]
    assert command("bench", onnx_models / "labelled.onnx", *options) == 0
    assert "100.0%" in capsys.readouterr().out


def test_all_cores_are_measured_once(run):
    cores = len(os.sched_getaffinity(0))
    [result] = bench([run.export("onnx-fp32").model()], BenchOptions(threads=(0, cores), images=0))
    assert [latency.threads for latency in result.latency] == [cores]
    assert result.bench.accuracy is None


def test_a_file_of_a_run_belongs_to_it(run):
    [result] = bench([run.export("onnx-fp32").model()], BenchOptions())
    assert result.bench.run_id == "mobilenetv2-s0"
    assert result.path == run.bench_json("local", "onnx-fp32")


def test_two_runs_are_one_session(run, tmp_path, tflite_models, colours):
    other = make_run(tmp_path / "other", {"tflite-fp32": tflite_models / "uint8.tflite"}, colours, "vgg16-s0")
    results = bench([run.path, other.path, run.export("tflite-int8").model()], BenchOptions(images=6))
    assert [result.id for result in results] == [
        "mobilenetv2-s0/onnx-fp32", "mobilenetv2-s0/tflite-int8", "vgg16-s0/tflite-fp32",
    ]  # fmt: skip
    assert len({result.bench.session_id for result in results}) == 1
    assert {result.bench.accuracy.n_samples for result in results} == {6}
    found = comparisons(results)
    assert len(found) == 2
    assert len({comparison.against for comparison in found}) == 1


def test_nan_is_reported_not_replaced(tmp_path, onnx_models, colours, capsys):
    run = make_run(
        tmp_path / "run", {"onnx-int8": onnx_models / "nan.onnx", "onnx-fp32": onnx_models / "uint8.onnx"}, colours
    )
    assert command("bench", run.path) == 1
    assert "not finite" in capsys.readouterr().err
    failed, good = run_results(run)[1], run_results(run)[0]
    assert (failed.ok, failed.latency, failed.bench.accuracy) == (False, (), None)
    assert "nan" in failed.bench.problems[0]
    assert good.ok


def test_bad_model_files_end_with_2_and_leave_nothing(run, tmp_path, capsys):
    for name, content in (("m.tflite", b"\x1c\0\0\0TFL3" + b"\xff" * 300), ("m.onnx", b"text"), ("m.txt", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        assert command("bench", run.path, path) == 2
        captured = capsys.readouterr()
        assert name in captured.err
        assert "Traceback" not in captured.err
    assert not (run.path / "bench").exists()


def refused(match: str, paths: list[Path], **options: object) -> None:
    with pytest.raises(InputError) as error:
        bench(paths, BenchOptions(**options))
    assert match in str(error.value)


def test_wrong_use_is_refused_before_measuring(run, tmp_path, onnx_models, colours):
    model = tmp_path / "m.onnx"
    shutil.copy(onnx_models / "nchw.onnx", model)
    refused("no such file", [tmp_path / "absent"])
    refused("not a run folder", [tmp_path])
    refused("unknown protocol", [run.path], protocol="fast")
    refused("threads", [run.path], threads=(-1,))
    refused("unknown runtime", [run.path], runtime="tensorrt")
    refused("none among these files", [model], runtime="litert", data=colours)
    refused("--labels FILE", [model], data=colours, third_party=ThirdPartyOptions(scaling="unit"))
    labels = tmp_path / "labels.txt"
    labels.write_text("blue\ngreen\nred\n")
    refused("--scaling", [model], data=colours, third_party=ThirdPartyOptions(labels=labels))
    refused("unknown scaling", [model], third_party=ThirdPartyOptions(scaling="symmetrical"))
    refused("unknown resize method", [model], third_party=ThirdPartyOptions(resize="squash"))
    refused("only third-party models take", [run.path], third_party=ThirdPartyOptions(scaling="unit"))
    labels.write_text("blue\ngreen\n")
    refused("2 labels do not fit 3 outputs", [model], third_party=ThirdPartyOptions(labels=labels, scaling="unit"))
    labels.write_text("blue\ngreen\nyellow\n")
    refused("'red'", [model], data=colours, third_party=ThirdPartyOptions(labels=labels, scaling="unit"))
    with pytest.raises(TargetError, match="known targets: local"):
        bench([run.path], BenchOptions(target="pi4"))


def test_a_run_that_does_not_fit_its_files_is_refused(run, tmp_path, colours):
    refused("--data", [run.path], data=tmp_path / "moved")
    done = run.read_run()
    done.model_copy(update={"status": "running"}).write(run.run_json)
    refused("not finished", [run.path])
    done.write(run.run_json)
    with run.export("onnx-fp32").model().open("ab") as stream:
        stream.write(b"x")
    refused("SHA-256", [run.path])
    shutil.rmtree(run.exports)
    refused("edgekit export", [run.path])


def test_a_document_of_a_newer_edgekit_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"schema_version": 99}')
    with pytest.raises(InputError, match="newer"):
        BenchResult.read(path)
    path.write_text('{"schema_version": 1, "latency": []}')
    with pytest.raises(InputError, match="damaged: status: field required"):
        BenchResult.read(path)


def test_an_older_result_of_a_third_party_model_opens(tmp_path, onnx_models):
    options = BenchOptions(protocol="check", threads=(1,), third_party=ThirdPartyOptions(out=tmp_path))
    [result] = bench([onnx_models / "uint8.onnx"], options)
    stored = json.loads(result.path.read_text())
    result.path.write_text(json.dumps({**stored, "scheme": "foreign"}))
    assert BenchResult.read(result.path) == result


def test_gzip_size_is_that_of_gzip(tmp_path):
    import gzip

    path = tmp_path / "x"
    draws = np.random.default_rng(0)
    for content in (draws.integers(0, 4, 100_000, np.uint8), draws.normal(size=100_000).astype(np.float32)):
        path.write_bytes(content.tobytes())
        assert gzip_size(path) == pytest.approx(len(gzip.compress(path.read_bytes(), 6)), rel=0.003)


def test_protocols_are_those_of_the_documentation():
    for name, runs, seconds, repeats in (("quick", 64, 2, 2), ("standard", 256, 10, 5), ("full", 1024, 60, 5)):
        assert SHIPPED[name].total_runs >= runs
        assert SHIPPED[name].total_ns >= 1e9 * seconds
        assert SHIPPED[name].repeats >= repeats
        assert SHIPPED[name].warmup_runs >= 10
    assert SHIPPED["full"].cooldown_ns > 0


def test_predict(run, tmp_path, capsys):
    picture = tmp_path / "photo.png"
    Image.fromarray(colour_pixels("green")).save(picture)
    model = run.export("tflite-int8").model()
    assert command("predict", model, picture, "--json") == 0
    [prediction] = json.loads(capsys.readouterr().out)["predictions"]
    assert prediction["label"] == "green"
    assert prediction["top"][0]["label"] == "green"
    assert prediction["probability"] > 0.5
    assert command("predict", model, picture) == 0
    assert "green" in capsys.readouterr().out
    picture.write_bytes(b"none")
    assert command("predict", model, picture) == 2
    assert "photo.png" in capsys.readouterr().err
    assert command("predict", model, tmp_path / "absent.png") == 2


def test_predict_takes_folders_and_goes_on_past_a_bad_picture(run, tmp_path, capsys):
    model, photos = run.export("onnx-fp32").path / "model.onnx", tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    for name, label in (("b", "blue"), ("a", "red"), ("more/c", "green")):
        Image.fromarray(colour_pixels(label)).save(photos / f"{name}.png")
    (photos / "bad.png").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("no picture either")
    assert command("predict", model, photos, "--json") == 1
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert [(Path(one["image"]).name, one["label"]) for one in found["predictions"]] == [
        ("a.png", "red"), ("b.png", "blue"), ("c.png", "green"),
    ]  # fmt: skip
    assert [(Path(one["image"]).name, one["reason"]) for one in found["unreadable"]] == [("bad.png", "not an image")]
    assert "bad.png is left out: not an image" in shown.err
    (tmp_path / "empty").mkdir()
    assert command("predict", model, tmp_path / "empty") == 2
    assert "contains no images" in capsys.readouterr().err


def test_preprocessing_of_a_third_party_model_is_recorded(tmp_path, onnx_models, colours, capsys):
    options = ["--preset", "keras-torch", "--filter", "bicubic", "--labels", tmp_path / "labels.txt", "--data", colours]
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    out = tmp_path / "out"
    given = ["--out", out, "--protocol", "check", "--threads", "1", "--json"]
    assert command("bench", onnx_models / "nchw.onnx", *options, *given) == 0
    assert "batch is dynamic" in capsys.readouterr().err
    result = BenchResult.read(out / "bench" / "local" / "nchw-onnx.json")
    used = result.bench.preprocessing
    assert used is not None
    assert (used.preset, used.filter, used.resize) == ("keras-torch", "bicubic", "stretch")
    assert used.scaling is not None
    assert used.scaling.mean == pytest.approx((123.675, 116.28, 103.53))
    assert (used.height, used.width, used.channels, used.batch, used.dynamic_batch) == (32, 32, 3, 1, True)
    assert (used.output, used.output_operator) == ("scores", "scores")
    assert any("dynamic" in text for text in result.bench.warnings)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--filter", "cubic"], "unknown filter"),
        (["--preset", "pytorch"], "unknown preset"),
        (["--activation", "relu"], "unknown activation"),
        (["--image-size", "0x5"], "not an image size"),
        (["--image-size", "64"], "--image-size is 64x64"),
        (["--output", "classes"], "no output 'classes'"),
    ],
)
def test_options_that_cannot_be_meant(tmp_path, onnx_models, capsys, options, problem):
    Image.fromarray(colour_pixels("red")).save(tmp_path / "red.png")
    assert command("predict", onnx_models / "labelled.onnx", tmp_path / "red.png", *options) == 2
    assert problem in capsys.readouterr().err


def test_predict_with_a_third_party_model(tmp_path, onnx_models, capsys):
    picture = tmp_path / "photo.png"
    Image.fromarray(colour_pixels("red")).save(picture)
    assert command("predict", onnx_models / "nchw.onnx", picture) == 2
    assert "--scaling" in capsys.readouterr().err
    assert command("predict", onnx_models / "nchw.onnx", picture, "--scaling", "unit", "--json") == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "2", "classes without names have numbers"
    assert command("predict", onnx_models / "nan.onnx", picture) == 1
    assert "not finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "\ufeff0 blue\r\n1 green\r\n2 red\r\n\r\n"),
        ("class_indices.json", '{\n"red": 2,\n"blue": 0,\n"green": 1\n}'),
        ("labels.csv", "index,name\n2,red\n0,blue\n1,green\n"),
    ],
)
def test_predict_reads_labels_files_of_any_origin(tmp_path, onnx_models, capsys, name, content):
    picture, labels = tmp_path / "blue.png", tmp_path / name
    Image.fromarray(colour_pixels("blue")).save(picture)
    labels.write_text(content, encoding="utf-8", newline="")
    assert command("predict", onnx_models / "uint8.onnx", picture, "--labels", labels, "--json") == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "blue"


def test_predict_refuses_labels_that_cannot_be_used(tmp_path, onnx_models, capsys):
    picture, labels = tmp_path / "blue.png", tmp_path / "labels.txt"
    Image.fromarray(colour_pixels("blue")).save(picture)
    for content, reason in (("", "no names"), ("red\nred\nblue\n", "more than once"), ('{"red": 0,', "JSON")):
        labels.write_text(content, encoding="utf-8")
        assert command("predict", onnx_models / "uint8.onnx", picture, "--labels", labels) == 2
        assert reason in capsys.readouterr().err


@pytest.mark.parametrize("labels", ["missing.txt", ".", "/dev/zero", "x" * 300])
def test_labels_that_cannot_be_read_are_input_errors(tmp_path, onnx_models, capsys, labels):
    picture = tmp_path / "blue.png"
    Image.fromarray(colour_pixels("blue")).save(picture)
    assert command("predict", onnx_models / "uint8.onnx", picture, "--labels", labels) == 2
    assert "the labels file cannot be" in capsys.readouterr().err


def test_scans_for_a_third_party_model_are_told(tmp_path, onnx_models, capsys):
    for name in LABELS:
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(2):
            values = np.random.default_rng(number).integers(0, 4096, (8, 8), dtype=np.uint16)
            Image.fromarray(values).save(tmp_path / "scans" / name / f"{number}.png")
    (tmp_path / "names.txt").write_text("".join(f"{name}\n" for name in LABELS))
    out = ("--labels", tmp_path / "names.txt", "--out", tmp_path / "out")
    assert command("bench", onnx_models / "uint8.onnx", "--data", tmp_path / "scans", "--no-latency", *out) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "6.2% of the 16-bit range" in said or "6.1% of the 16-bit range" in said
