"""An interrupted benchmark over SSH keeps its blocks on this machine, and the same command continues it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.bench.session import bench_on
from edgekit.bench.settings import BenchOptions
from edgekit.documents.bench import BenchDocument
from edgekit.support.progress import SILENT
from edgekit.targets.ssh import SshTarget

PROCESSES, ROUNDS = 2, 3


class Watched(SshTarget):
    """A target whose session is interrupted after ``blocks`` blocks; it notes the latency jobs it was given."""

    blocks: int | None = None

    def run(self, verb: Any, job: Any) -> Iterator[Any]:
        if verb == "latency":
            vars(self).setdefault("skips", []).append(job.get("skip", 0))
        left = self.blocks
        for event in super().run(verb, job):
            if event["event"] == "block" and left is not None:
                if left == 0:
                    raise KeyboardInterrupt
                left -= 1
            yield event


def test_the_same_command_continues_over_ssh(config, tmp_path, onnx_models, colours, monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "quick", protocol_of("quick", PROCESSES, ROUNDS, (2, 100_000), (2, 1_000_000)))
    run = make_run(tmp_path / "run", {"onnx-fp32": onnx_models / "uint8.onnx"}, colours)
    options = BenchOptions(images=6)
    with closing(Watched(config)) as target, pytest.raises(KeyboardInterrupt):
        target.blocks = 4  # the file and its control have two blocks in each round
        bench_on(target, [run.path], options, SILENT, None)
    partial = BenchDocument.read(run.bench_json("loop", "onnx-fp32"))
    assert partial.incomplete[0].startswith("latency with 1 thread: 0 of 2 processes")
    with closing(Watched(config)) as target:
        (result,) = bench_on(target, [run.path], options, SILENT, None)
        assert vars(target)["skips"] == [4, 0]
    kept = {block.ns for process in partial.latency[0].processes for block in process.blocks}
    assert len(kept) == 2
    found = {block.ns for process in result.latency[0].processes for block in process.blocks}
    assert kept < found
    assert len(found) == PROCESSES * ROUNDS
    assert (result.bench.incomplete, len(result.bench.sittings)) == ((), 2)
    assert result.bench.accuracy.agreement_with_host.n_same == 6
