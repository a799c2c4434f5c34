"""What goes wrong between host and device, each through a real SSH server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loopback import Notes, exit_code, wrapped

from edgekit.device.runtime_table import RUNTIMES
from edgekit.errors import EdgekitError, InputError, TargetError
from edgekit.targets import ssh
from edgekit.targets.config import TargetConfig
from edgekit.targets.diagnosis import diagnose_target
from edgekit.targets.setup import set_up
from edgekit.targets.ssh import SshTarget

ROUNDS = 10
PROTOCOL = {
    "warmup_runs": 1,
    "warmup_ns": 0,
    "rounds": ROUNDS,
    "block_runs": 1,
    "block_ns": 0,
    "cooldown_ns": 60_000_000,
}


@pytest.fixture
def job(onnx_models) -> dict:
    paths = {"a": onnx_models / "uint8.onnx", "b": onnx_models / "labelled.onnx"}
    models = [{"key": key, "path": str(path)} for key, path in paths.items()]
    return {"models": models, "protocol": PROTOCOL, "seed": 3, "controls": ["a"]}


def refusal(config: TargetConfig) -> TargetError:
    with closing(SshTarget(config)) as target, pytest.raises(TargetError) as error:
        target.facts()
    assert error.value.exit_code == 4
    return error.value


def test_unreachable_host(config, server, project, capsys):
    away = replace(config, ssh_config=str(server.config_file("away", Port="1")))
    code, said = exit_code(away, project, capsys, "target", "setup", "loop")
    assert code == 4
    assert "cannot reach the target" in said
    assert "Connection refused" in said
    unknown = replace(config, ssh_config=str(server.config_file("nowhere", HostName="no-such-host.invalid")))
    assert "Could not resolve" in refusal(unknown).problem


def test_login_with_an_unknown_key(config, server):
    stranger = replace(config, ssh_config=str(server.config_file("wrong", IdentityFile=f"{server.folder}/stranger")))
    error = refusal(stranger)
    assert "refused the login" in error.problem
    assert error.hint.startswith("ssh-copy-id -F ")


def test_the_hint_accepts_an_unknown_host_key(config, server, tmp_path):
    known = tmp_path / "known hosts"
    fresh = replace(config, ssh_config=str(server.config_file("fresh", UserKnownHostsFile=f'"{known}"')))
    error = refusal(fresh)
    assert "does not know the host key" in error.problem
    assert not known.exists(), "no key is accepted automatically"
    command = error.hint.partition(": ")[2]
    assert "StrictHostKeyChecking=ask" in command
    # A person answers "yes" at a terminal; here ssh gives that answer itself.
    subprocess.run(command.replace("=ask", "=accept-new"), shell=True, check=True, stdin=subprocess.DEVNULL)
    with closing(SshTarget(fresh)) as target:
        assert target.facts()["system"]


def test_a_changed_host_key_is_refused_until_the_hint_is_followed(config, server, tmp_path):
    known = tmp_path / "known"
    other = (server.folder / "stranger.pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{server.port} {' '.join(other)}\n")
    changed = replace(config, ssh_config=str(server.config_file("changed", UserKnownHostsFile=str(known))))
    error = refusal(changed)
    assert "has changed" in error.problem
    forget, _, accept = error.hint.partition(": ")[2].partition(" && ")
    assert forget.startswith("ssh-keygen")
    command = f"{forget} && {accept.replace('=ask', '=accept-new')}"
    subprocess.run(command, shell=True, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    with closing(SshTarget(changed)) as target:
        assert target.facts()["system"]


def test_missing_and_old_python(config, tmp_path, project, capsys):
    code, said = exit_code(replace(config, python="/opt/no such/python3"), project, capsys, "target", "setup", "loop")
    assert code == 4
    assert "/opt/no such/python3 was not found" in said
    assert "apt install python3" in said
    old = tmp_path / "python3.7"
    old.write_text('#!/bin/sh\necho \'{"event": "hello", "version": [3, 7, 3], "program": ""}\'\n')
    old.chmod(0o755)
    assert "Python 3.7.3 on loop is too old" in refusal(replace(config, python=str(old))).problem


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("import platform; platform.machine = lambda: 'armv6l'", "ARMv6"),
        ("import os; os.confstr = lambda name: 'glibc 2.12'", "no runtime has a wheel"),
        ("import os; os.confstr = lambda name: None\nimport platform; platform.libc_ver = lambda: ('', '')", "glibc"),
    ],
)
def test_platforms_without_wheels(config, tmp_path, project, capsys, fault, said):
    python = wrapped(tmp_path / "fault", fault, bare=True)
    code, message = exit_code(replace(config, python=python), project, capsys, "target", "setup", "loop")
    assert code == 4
    assert said in message


def test_before_setup_the_hint_names_the_command(config, tmp_path, job):
    bare = replace(config, python=wrapped(tmp_path / "fault", "", bare=True))
    with closing(SshTarget(bare)) as target, pytest.raises(TargetError) as error:
        list(target.run("latency", job))
    assert error.value.hint == "edgekit target setup loop"


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can be made by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk(config, small_disk, tmp_path, project, capsys):
    big = tmp_path / "big.onnx"
    big.write_bytes(os.urandom(9_000_000))
    full = replace(config, folder=str(small_disk / "work"))
    with closing(SshTarget(full)) as target, pytest.raises(TargetError) as error:
        target.send({f"{ssh.Hashes().of(str(big))}.onnx": str(big)})
    assert "9.0 MB to send" in error.value.problem
    assert not list((small_disk / "work" / "objects").glob("*.part"))
    (small_disk / "rest").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    code, said = exit_code(replace(config, folder=str(small_disk / "w2")), project, capsys, "target", "setup", "loop")
    assert code == 4
    assert "No space left" in said


@pytest.mark.slow
def test_disk_that_fills_up_during_the_job(config, small_disk, job):
    with closing(SshTarget(replace(config, folder=str(small_disk / "work")))) as target:
        target.facts()
        (small_disk / "rest").write_bytes(bytes(shutil.disk_usage(small_disk).free))
        with pytest.raises(EdgekitError) as error:
            list(target.run("latency", job))
    assert error.value.exit_code == 4


def blocks(events: list[dict]) -> list[tuple[int, str]]:
    return [(event["round"], event["key"]) for event in events if event["event"] == "block"]


def test_a_broken_connection_loses_nothing(config, server, job):
    notes, events, cuts = Notes(), [], 0
    with closing(SshTarget(config, notes)) as target:
        undisturbed = list(target.run("latency", job))
        # The job continues while the connection is down, slowly enough not to finish before the second break.
        slow = {**job, "protocol": {**PROTOCOL, "cooldown_ns": 600_000_000}}
        for event in target.run("latency", slow):
            events.append(event)
            if event["event"] == "block" and len(blocks(events)) in (4, 15):
                cuts += server.cut()
    assert cuts >= 2
    assert sum("lost the connection to loop" in text for text in notes.warnings) == 2
    assert blocks(events) == blocks(undisturbed), "each block once, in the same order"
    assert len(blocks(events)) == 3 * ROUNDS
    assert [event["event"] for event in events] == [event["event"] for event in undisturbed]


def test_job_is_resumed_after_a_restart_of_the_device(config, server, job, tmp_path):
    notes, events = Notes(), []
    with closing(SshTarget(config, notes)) as target:
        for event in target.run("latency", job):
            events.append(event)
            if event["event"] == "block" and len(blocks(events)) == 7:
                (folder,) = (tmp_path / "work" / "jobs").iterdir()
                os.killpg(int((folder / "pid").read_text()), 9)  # the job and its supervisor, as a power cut does
                server.cut()
    assert "restarted" in [event["event"] for event in events]
    expected = {(number, key) for number in range(ROUNDS) for key in ("a", "b", "a#again")}
    assert set(blocks(events)) == expected
    assert len(blocks(events)) == len(expected)
    assert any("lost the job" in text for text in notes.warnings)


@pytest.mark.slow
def test_predictions_are_the_same_after_a_restart(config, server, onnx_models, colours, tmp_path):
    files = [f"{label}/{n}.png" for label in ("red", "green", "blue") for n in range(6)] * 6
    job = {"models": [{"key": "m", "path": str(onnx_models / "uint8.onnx")}], "root": str(colours), "files": files}
    with closing(SshTarget(config)) as target:
        whole = [e for e in target.run("accuracy", job) if e["event"] == "predictions"]
        parts, killed = [], False
        for event in target.run("accuracy", job):
            if event["event"] != "predictions":
                continue
            parts.append(event)
            if not killed:
                killed = True
                for folder in (tmp_path / "work" / "jobs").iterdir():
                    os.killpg(int((folder / "pid").read_text()), 9)
    assert [e["start"] for e in parts] == [0, 32, 64, 96]
    assert [e["probabilities_b64"] for e in parts] == [e["probabilities_b64"] for e in whole]


@pytest.mark.slow
def test_a_crash_is_not_mistaken_for_a_restart(config, tmp_path, job):
    """A job that was killed because memory ran out would be killed again."""
    with closing(SshTarget(config)) as target, pytest.raises(EdgekitError, match="killed"):
        for event in target.run("latency", job):
            if event["event"] == "block":
                (folder,) = (tmp_path / "work" / "jobs").iterdir()
                keeper = int((folder / "pid").read_text())
                (child,) = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
                os.kill(int(child), 9)


@pytest.mark.slow
def test_a_sustained_run_is_not_resumed(config, onnx_models, tmp_path):
    job = {"models": [{"key": "m", "path": str(onnx_models / "uint8.onnx")}], "seconds": 5}
    with closing(SshTarget(config)) as target, pytest.raises(TargetError, match="lost the job"):
        for event in target.run("sustained", job):
            if event["event"] == "window":
                (folder,) = (tmp_path / "work" / "jobs").iterdir()
                os.killpg(int((folder / "pid").read_text()), 9)


@pytest.mark.slow
def test_device_with_a_wrong_clock(config, tmp_path, job):
    python = wrapped(tmp_path / "fault", "import time; real = time.time; time.time = lambda: real() - 3e8")
    with closing(SshTarget(replace(config, python=python))) as target:
        diagnosis = diagnose_target(target)
        (clock,) = [check for check in diagnosis.checks if check.name == "clock"]
        assert not clock.ok
        assert "behind" in clock.found
        assert "set-ntp" in clock.remedy
        assert diagnosis.ok, "it can measure nevertheless"
        assert len(blocks(list(target.run("latency", job)))) == 3 * ROUNDS


HIDDEN = """
    sys.executable = "{python}"
    from importlib import metadata
    version = metadata.version
    def hidden(name):
        if name in ("ncnn", "openvino", "tflite-runtime"):
            raise metadata.PackageNotFoundError(name)
        return version(name)
    metadata.version = hidden
"""


def test_doctor_asks_only_for_runtimes_that_setup_would_install(config, tmp_path):
    fault = tmp_path / "fault"
    bare = replace(config, python=wrapped(fault, HIDDEN.format(python=fault / "python")))
    missing = {
        chosen: {check.name for check in _diagnosis(replace(bare, runtime=chosen)).checks if not check.ok}
        for chosen in (None, "ncnn", "openvino")
    }
    assert not missing[None] & set(RUNTIMES), "LiteRT and ONNX Runtime are there; the others are installed on request"
    assert missing["ncnn"] & set(RUNTIMES) == {"ncnn"}
    assert missing["openvino"] & set(RUNTIMES) == {"openvino"}


def _diagnosis(config):
    with closing(SshTarget(config)) as target:
        return diagnose_target(target)


def test_one_measurement_at_a_time(config, job, project, capsys, onnx_models):
    with closing(SshTarget(config)) as first:
        running = first.run("latency", job)
        assert next(running)["event"] == "environment"
        model = str(onnx_models / "labelled.onnx")
        code, said = exit_code(config, project, capsys, "bench", model, "--target", "loop", "--out", str(project))
        assert code == 4
        assert "another benchmark is running on this device" in said
        assert len(blocks(list(running))) == 3 * ROUNDS, "the first is not disturbed"
        with closing(SshTarget(config)) as second, pytest.raises(TargetError, match="another benchmark is running"):
            list(second.run("probe", {}))  # between two jobs of the first
    with closing(SshTarget(config)) as second:
        assert list(second.run("probe", {}))


FLIP = """
import os
if len(sys.argv) > 1 and sys.argv[1] == "put" and {condition}:
    import io
    whole = sys.stdin.buffer.read()
    head, _, body = whole.partition(b"\\n")
    body = body[:-1] + bytes([body[-1] ^ 1])
    class Wrong:
        buffer = io.BytesIO(head + b"\\n" + body)
    sys.stdin = Wrong
"""


def test_a_file_damaged_in_transfer_is_sent_again(config, tmp_path, onnx_models):
    once = f"not os.path.exists('{tmp_path}/flipped') and open('{tmp_path}/flipped', 'w')"
    notes, model = Notes(), str(onnx_models / "uint8.onnx")
    flaky = replace(config, python=wrapped(tmp_path / "fault", FLIP.format(condition=once)))
    with closing(SshTarget(flaky, notes)) as target:
        assert [e["event"] for e in target.run("probe", {"models": [{"path": model}]})] == ["environment", "inspected"]
    assert any("arrived damaged" in text for text in notes.warnings)
    assert not list((tmp_path / "work" / "objects").glob("*.part"))


def test_repeated_damage_in_transfer_is_an_error(config, tmp_path, onnx_models):
    broken = replace(config, python=wrapped(tmp_path / "fault", FLIP.format(condition="True")))
    with closing(SshTarget(broken)) as target, pytest.raises(TargetError, match="arrive damaged") as error:
        list(target.run("probe", {"models": [{"path": str(onnx_models / "uint8.onnx")}]}))
    assert error.value.where.endswith("uint8.onnx")
    assert [p.suffix for p in (tmp_path / "work" / "objects").iterdir()] == [".pyz"]


@pytest.mark.slow
def test_a_damaged_file_on_the_device_is_replaced(config, tmp_path, onnx_models):
    model = str(onnx_models / "uint8.onnx")
    for _ in range(2):
        with closing(SshTarget(config)) as target:
            assert list(target.run("probe", {"models": [{"path": model}]}))
        (stored,) = (tmp_path / "work" / "objects").glob("*.onnx")
        good = Path(model).read_bytes() == stored.read_bytes()
        assert good
        stored.write_bytes(b"\xff" + stored.read_bytes()[1:])


def test_errors_name_local_paths(config, tmp_path, onnx_models):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nothing")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with closing(SshTarget(config)) as target:
        with pytest.raises(InputError) as error:
            list(target.run("probe", {"models": [{"path": str(bad)}]}))
        assert error.value.where == str(bad)
        job = {"models": [{"path": str(onnx_models / "uint8.onnx")}], "root": str(tmp_path), "files": ["bad.png"]}
        (unreadable,) = [event for event in target.run("predict", job) if event["event"] == "unreadable"]
        assert unreadable["number"] == 0  # the host knows its name
        assert "not an image" in unreadable["reason"] or "cannot be decoded" in unreadable["reason"]


def test_output_of_login_scripts_is_ignored(config, tmp_path):
    noisy = wrapped(tmp_path / "fault", "print('Welcome to this board!', flush=True)")
    with closing(SshTarget(replace(config, python=noisy))) as target:
        assert target.facts()["system"]


@pytest.mark.slow
def test_an_interrupt_here_ends_the_job_there(config, tmp_path, job):
    with closing(SshTarget(config)) as target:
        next(target.run("latency", {**job, "protocol": {**PROTOCOL, "rounds": 1000}}))
    time.sleep(0.3)
    with closing(SshTarget(config)) as target:
        assert target.facts()["busy"] is None
        (folder,) = (tmp_path / "work" / "jobs").iterdir()
        lines = (folder / "lines.jsonl").read_bytes()
        time.sleep(0.3)
        assert (folder / "lines.jsonl").read_bytes() == lines, "the job has ended"


def test_a_python_with_all_packages_needs_no_setup(config):
    with closing(SshTarget(config)) as target:
        done = set_up(target)
        assert (done.changed, done.source) == (False, "own")
        assert "numpy" in done.facts["installed"]
    assert np.__version__ == done.facts["installed"]["numpy"]
    assert json.dumps(done.notes) == "[]"
