"""The time of each operator: from the runtimes, through the documents, to the tables and the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS
from edgekit.bench.session import bench
from edgekit.bench.settings import BenchOptions
from edgekit.cli.render.bench_tables import bench_text
from edgekit.device import litert_library
from edgekit.device.litert_library import NotOfferedError, library_path
from edgekit.documents.profile import OperatorNode, OperatorProfile
from edgekit.report.build import build_report
from edgekit.report.model.sessions import bench_summary


@pytest.fixture(scope="module")
def results(tmp_path_factory, onnx_models, tflite_models, colours):
    files = {"onnx-fp32": onnx_models / "uint8.onnx", "tflite-int8": tflite_models / "quantized.tflite"}
    run = make_run(tmp_path_factory.mktemp("profile") / "run", files, colours)
    return bench([run.path], BenchOptions(protocol="check", threads=(1,), images=0, profile=True))


def test_onnx_runtime_tells_every_node(results):
    stored = results[0].bench.profile
    assert stored.reason is None
    assert len(stored.run_ns) == PROTOCOLS["check"].rounds
    operators = [node.operator for node in stored.nodes]
    # Versions of ONNX Runtime differ in what they fuse between the first and the last.
    assert {"Cast", "ReduceMean", "Softmax"} <= set(operators)
    assert any("MatMul" in operator for operator in operators)
    assert all(len(node.ns) == len(stored.run_ns) for node in stored.nodes)
    for position, whole in enumerate(stored.run_ns):
        assert 0 < sum(node.ns[position] for node in stored.nodes) <= whole


def test_litert_tells_what_xnnpack_ran_and_what_it_left(results):
    stored = results[1].bench.profile
    if stored.reason is not None and not stored.version.startswith(litert_library.TESTED):
        pytest.skip(stored.reason)
    assert stored.reason is None
    profile = stored.by_operator()
    assert {row.where for row in profile.operators} <= {"XNNPACK", "LiteRT"}
    assert "SOFTMAX" in {row.operator.upper().split()[0] for row in profile.operators}
    assert sum(row.calls for row in profile.operators) == len(stored.nodes)


def test_the_tables_fit_80_columns(results):
    text = bench_text(results, bench_summary(results))
    assert text.count("profile of ") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_the_page_and_its_document_show_it(results):
    run = results[0].path.parents[2]
    (run / "history.csv").touch()
    build_report(run)
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count("Operators of ") == 2
    document = json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))
    assert [c["profile"]["runs"] for c in document["candidates"]] == [3, 3]


def test_operators_of_a_kind_are_added_up_run_by_run():
    def node(operator: str, where: str, *times: int) -> OperatorNode:
        return OperatorNode(name="", operator=operator, where=where, ns=times)

    nodes = (
        node("Conv", "XNNPACK", 1_000_000, 3_000_000, 2_000_000),
        node("Conv", "XNNPACK", 1_000_000, 0, 9_000_000),
        node("SOFTMAX", "LiteRT", 1_000_000, 1_000_000, 1_000_000),
    )
    run_ns = (5_000_000, 6_000_000, 13_000_000)
    profile = OperatorProfile(
        reason=None, runtime="litert", version="2", threads=1, nodes=nodes, run_ns=run_ns
    ).by_operator()
    assert [(row.operator, row.calls, row.ms, row.share) for row in profile.operators] == [
        ("Conv", 2, 3.0, 0.75),
        ("SOFTMAX", 1, 1.0, 0.25),
    ]
    assert (profile.run_ms, profile.operators_ms) == (6.0, 4.0)
    assert [row.operator for row in profile.beside_delegate] == ["SOFTMAX"]


def test_without_a_profile_there_is_a_reason_and_no_figure():
    stored = OperatorProfile(reason="not here", runtime="tflite-runtime", version="2", threads=1, run_ns=(), nodes=())
    profile = stored.by_operator()
    assert (profile.reason, profile.operators) == ("not here", [])


@pytest.mark.parametrize("version", [None, "2.1.2", "3.0.0"])
def test_another_litert_is_not_guessed_at(version):
    with pytest.raises(NotOfferedError, match="operator profiles need"):
        library_path(version)


def test_the_library_of_the_wheel_is_there():
    from importlib.metadata import version

    installed = version("ai-edge-litert")
    if not installed.startswith(litert_library.TESTED):
        pytest.skip(f"ai-edge-litert {installed}")
    assert Path(library_path(installed)).stat().st_size > 1_000_000
