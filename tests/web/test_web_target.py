"""`edgekit bench --target web` and its neighbours, in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import signal

import numpy as np
import pytest
from PIL import Image
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.cli.app import main
from edgekit.device.protocol.jobs import BlockSettings, LatencyJob, ModelEntry
from edgekit.device.protocol.verbs import LATENCY
from edgekit.documents.bench import BenchResult
from edgekit.errors import EdgekitError, InputError
from edgekit.targets.config import TargetConfig
from edgekit.targets.web import WebTarget
from edgekit.web.chromium import VARIABLE


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def run(tmp_path, onnx_models, colours, web_runtime, browser):
    return make_run(
        tmp_path / "run", {"onnx-fp32": onnx_models / "labelled.onnx", "onnx-int8": onnx_models / "uint8.onnx"}, colours
    )


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "quick", protocol_of("quick", 2, 6, (12, 1_000_000), (2, 0)))


@pytest.mark.slow
def test_a_run_is_measured_and_scored_as_on_this_machine(run, capsys):
    assert command("bench", run.path, "--target", "web", "--threads", "1", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    assert {(row["target"], row["scheme"]) for row in rows} == {("web", "fp32"), ("web", "int8")}
    for scheme in ("fp32", "int8"):
        result = BenchResult.read(run.bench_json("web", f"onnx-{scheme}"))
        bench = result.bench
        assert bench.runtime is not None
        assert bench.runtime.name == "onnxruntime-web"
        assert bench.accuracy is not None
        assert bench.accuracy.agreement_with_host is not None
        assert bench.accuracy.agreement_with_host.n_same == bench.accuracy.n_samples == 15
        assert bench.accuracy.agreement_with_host.max_difference < 1e-5
        assert "edgekit-2 web" in bench.accuracy.decoder
        (latency,) = bench.latency
        assert [len(process.blocks) for process in latency.processes] == [6, 6]
        assert latency.n_images > 1
        assert latency.n_answers > 0
        assert latency.n_invalid == 0
        assert latency.preprocess_ns
        assert bench.memory is not None
        assert bench.memory.peak_rss_bytes > bench.memory.baseline_rss_bytes > 10_000_000
        assert "browser" in bench.environment.before.versions
        assert bench.environment.before.cpu is not None
    assert not list(run.path.glob("bench/web/.*"))


@pytest.mark.slow
def test_several_threads_are_used(run):
    assert command("bench", run.path, "--target", "web", "--threads", "2", "--images", "0", "--quiet") == 0
    (latency,) = BenchResult.read(run.bench_json("web", "onnx-int8")).latency
    assert latency.threads == 2


@pytest.mark.slow
def test_verify_and_predict_work_in_the_browser(run, colours, tmp_path, capsys):
    inputs = np.stack([np.asarray(Image.open(colours / label / "0.png").convert("RGB")) for label in ("red", "blue")])
    golden = run.export("onnx-int8").golden
    from edgekit.device.runtimes import open_model

    model = open_model(str(run.export("onnx-int8").path / "model.onnx"), 1)
    rows = []
    for image in inputs:
        model.set_input(model.input.prepare(image, None))
        model.invoke()
        rows.append(model.scores())
    np.savez(golden, inputs=inputs, outputs=np.stack(rows))
    export = run.export("onnx-int8").path
    assert command("verify", export, "--target", "web", "--json") == 0
    (checked,) = json.loads(capsys.readouterr().out)["results"]
    assert (checked["n_same"], checked["n_inputs"], checked["problem"]) == (2, 2, None)
    np.savez(golden, inputs=inputs, outputs=np.stack(rows)[::-1])
    assert command("verify", export, "--target", "web", "--json") == 3
    capsys.readouterr()
    (tmp_path / "broken.png").write_bytes(b"no image")
    images = [colours / "green" / "0.png", tmp_path / "broken.png"]
    assert command("predict", export / "model.onnx", *images, "--target", "web", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["predictions"][0]["label"] == "green"
    assert report["unreadable"][0]["image"].endswith("broken.png")


@pytest.mark.slow
def test_a_third_party_model_keeps_its_preprocessing(onnx_models, colours, tmp_path, web_runtime, browser):
    shutil.copy(onnx_models / "nchw.onnx", tmp_path / "nchw.onnx")
    (tmp_path / "labels.txt").write_text("blue\ngreen\nred\n")
    arguments = ("--scaling", "imagenet", "--labels", tmp_path / "labels.txt", "--data", colours, "--threads", "1")
    assert (
        command("bench", tmp_path / "nchw.onnx", "--target", "web", "--protocol", "check", *arguments, "--quiet") == 0
    )
    result = BenchResult.read(tmp_path / "bench" / "web" / "nchw-onnx.json")
    assert result.bench.accuracy is not None
    assert result.bench.accuracy.accuracy == 1
    assert result.bench.accuracy.activation == "softmax"
    assert result.bench.accuracy.agreement_with_host is not None
    assert result.bench.accuracy.agreement_with_host.max_difference < 1e-4


@pytest.mark.slow
def test_an_output_that_is_not_finite_fails_that_file_alone(onnx_models, colours, tmp_path, web_runtime, browser):
    run = make_run(
        tmp_path / "run", {"onnx-fp32": onnx_models / "nan.onnx", "onnx-int8": onnx_models / "uint8.onnx"}, colours
    )
    assert command("bench", run.path, "--target", "web", "--threads", "1", "--quiet") == 1
    assert BenchResult.read(run.bench_json("web", "onnx-fp32")).bench.status == "failed"
    assert BenchResult.read(run.bench_json("web", "onnx-int8")).ok


def test_a_damaged_file_is_one_clear_error(tmp_path, web_runtime, browser, capsys):
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    assert command("bench", tmp_path / "broken.onnx", "--target", "web") == 2
    assert "broken.onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--sustained", "1m"), "--sustained is not available"),
        (("--profile",), "--profile is not available"),
        (("--runtime", "onnxruntime"), "--runtime is not available"),
    ],
)
def test_what_a_browser_cannot_measure_is_refused_first(tmp_path, onnx_models, capsys, arguments, reason):
    assert command("bench", onnx_models / "labelled.onnx", "--target", "web", "--out", tmp_path, *arguments) == 2
    assert reason in capsys.readouterr().err


def test_without_a_browser_the_error_says_so(tmp_path, onnx_models, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    assert command("bench", onnx_models / "labelled.onnx", "--target", "web", "--out", tmp_path) == 4
    assert VARIABLE in capsys.readouterr().err


def test_tflite_files_are_refused_with_the_way_out(tmp_path, capsys):
    (tmp_path / "model.tflite").write_bytes(b"\0\0\0\0TFL3")
    assert command("bench", tmp_path / "model.tflite", "--target", "web") == 2
    assert "ONNX files only" in capsys.readouterr().err


def test_the_name_is_taken():
    with pytest.raises(InputError, match="built-in target"):
        TargetConfig(name="web", host="a").check("targets.toml")


@pytest.mark.slow
def test_an_interrupted_job_continues_where_it_ended(onnx_models, colours, web_runtime, browser):
    images = [str(path) for path in sorted(colours.glob("red/*.png"))]
    blocks = BlockSettings(warmup_runs=1, warmup_ns=0, rounds=2, block_runs=2, block_ns=0, cooldown_ns=0, period_ns=0)
    models = [
        ModelEntry(path=str(onnx_models / f"{name}.onnx"), key=name, images=images) for name in ("uint8", "labelled")
    ]
    job = LatencyJob(models=models, threads=1, protocol=blocks, controls=["uint8"], seed=3)
    target = WebTarget()
    whole = [(e["round"], e["key"]) for e in target.run(LATENCY, job) if e["event"] == "block"]
    assert len(whole) == 2 * 3
    rest = LatencyJob(**job, skip=4)
    assert [(e["round"], e["key"]) for e in target.run(LATENCY, rest) if e["event"] == "block"] == whole[4:]


@pytest.mark.slow
def test_a_page_that_crashes_is_one_error_and_leaves_nothing(onnx_models, colours, web_runtime, browser):
    """The process of the page is killed in the middle, as a system that runs out of memory does."""
    blocks = BlockSettings(
        warmup_runs=1, warmup_ns=0, rounds=50, block_runs=2, block_ns=50_000_000, cooldown_ns=0, period_ns=0
    )
    models = [ModelEntry(path=str(onnx_models / "uint8.onnx"), key="uint8")]
    target = WebTarget()
    events = target.run(LATENCY, LatencyJob(models=models, threads=1, protocol=blocks, controls=[], seed=3))
    with pytest.raises(EdgekitError, match=r"crashed|ended"):
        for event in events:
            if event["event"] == "block":
                assert target._browser is not None
                for process in target._browser.renderers():
                    os.kill(process, signal.SIGKILL)
