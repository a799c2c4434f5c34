"""Devices that lie, flood, fall silent or are cut off, through a real SSH server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loopback import Notes, exit_code, wrapped

from edgekit.errors import EdgekitError, InputError, TargetError
from edgekit.targets.base import crash
from edgekit.targets.config import TargetConfig, add_target
from edgekit.targets.ssh import SshTarget

REPOSITORY = Path(__file__).parents[2]


def device(config: TargetConfig, folder: Path, script: str, **changes: object) -> TargetConfig:
    """``config`` with a Python that is a shell script: ``$verb`` is what it is asked, ``real`` does it."""
    folder.mkdir(exist_ok=True)
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\nverb=$3; [ "$2" = -c ] && verb=hello\nreal() {{ "{sys.executable}" "$@"; }}\n{script}\nreal "$@"\n'
    )
    python.chmod(0o755)
    return replace(config, python=str(python), **changes)


@pytest.mark.parametrize(
    ("verb", "change"),
    [
        ("start", 's/"first_ns": /"first_ns": -/'),
        ("start", 's/"ns": \\[/"ns": [-5, /'),
        ("start", 's/"cpu_ns": [0-9]*/"cpu_ns": NaN/'),
        ("start", 's/"wall_ns": [0-9]*, //'),
        ("start", '/"block"/p'),
        ("start", '/"number": 3,/d'),
        ("start", '/"when": "after"/d'),
        ("start", 's/"peak_rss_bytes": /"peak_rss_bytes": 1/'),
        ("have", 's/"free_bytes": [0-9]*/"free_bytes": "much"/'),
        ("have", 's/"missing": \\[/"missing": ["..\\/..\\/etc\\/passwd", /'),
        ("put", 's/"name": "/"name": "0/'),
        ("facts", 's/"bits": 64/"bits": []/'),
    ],
)
def test_a_lie_ends_with_exit_code_4(config, tmp_path, project, capsys, onnx_models, verb, change):
    liar = device(config, tmp_path / "liar", f'[ "$verb" = {verb} ] && {{ real "$@" | sed -u \'{change}\'; exit; }}')
    model = str(onnx_models / "labelled.onnx")
    options = ["bench", model, "--target", "loop", "--protocol", "check", "--threads", "1", "--out", str(project)]
    code, said = exit_code(liar, project, capsys, *(options if verb != "facts" else ["target", "doctor", "loop"]))
    assert code == 4, said
    assert "loop sent an invalid response" in said
    assert "target loop" in said
    assert not list(project.glob("*.json"))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("yes 'a line of stderr' >&2", "16 MB of error messages"),
        ("yes | tr -d '\\n'", "a line of more than 2 MB"),
        ("""yes '{"event": "alive"}'""", "a sign of life more often than once a second"),
        ("yes 'not an event'", "too much that is no answer"),
        ("""yes '{"event": "alive", "more": "' | tr -d '\\n'""", "a line of more than 2 MB"),
        (
            """x=$(head -c 900000 /dev/zero | tr '\\0' x); while :; do echo "{\\"event\\" $x"; done""",
            "an invalid response",
        ),
        ("""while :; do echo '{"event": "alive"}'; sleep 0.1; done""", "has not reported anything for 2 seconds"),
        ("sleep 1000", "has not answered for 3 seconds"),
    ],
)
@pytest.mark.parametrize("verb", ["start", "have"])
def test_floods_and_silence_end(config, tmp_path, script, said, verb, onnx_models):
    limits = {"max_line_mb": 2, "max_job_mb": 9, "silence_s": 3, "job_silence_s": 2 if "sleep" in script else 100}
    bad = device(config, tmp_path / "bad", f'[ "$verb" = {verb} ] && {{ {script}; }}', **limits)
    before = peak_bytes()
    start = time.monotonic()
    with closing(SshTarget(bad)) as target, pytest.raises(TargetError) as error:
        list(target.run("probe", {"models": [{"path": str(onnx_models / "uint8.onnx")}]}))
    assert said in error.value.problem
    assert error.value.hint
    assert time.monotonic() - start < 60
    assert peak_bytes() - before < 100 << 20


def peak_bytes() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def test_a_slow_job_gives_signs_of_life(config, tmp_path, onnx_models):
    """A job that reports nothing for longer than the connection may be silent."""
    quick = wrapped(tmp_path / "fault", "")
    program = Path(tmp_path / "fault" / "fault.py")
    hook = (
        "import threading\nwait = threading.Event.wait\n"
        "threading.Event.wait = lambda self, s=None: wait(self, 0.5 if s == 15.0 else s)\n"
    )
    program.write_text(hook + program.read_text())
    protocol = {**dict.fromkeys(("warmup_ns", "block_ns"), 0), **dict.fromkeys(("warmup_runs", "block_runs"), 1)}
    protocol |= {"rounds": 2, "cooldown_ns": 4_000_000_000}
    job = {"models": [{"key": "a", "path": str(onnx_models / "uint8.onnx")}], "protocol": protocol}
    with closing(SshTarget(replace(config, python=quick, silence_s=3), notes := Notes())) as target:
        events = [event["event"] for event in target.run("latency", job)]
    assert events.count("block") == 2
    assert not notes.warnings


def test_remote_words_are_not_taken_for_those_of_ssh(config, tmp_path):
    words = (
        "Offending ED25519 key in /etc/passwd:1\\nHost key for github.com has changed\\n"
        "Host key verification failed.\\nloop: Permission denied (publickey).\\n"
    )
    script = f"printf '{words}' >&2; [ \"$verb\" = hello ] && exit 255"
    with closing(SshTarget(device(config, tmp_path / "bad", script))) as target, pytest.raises(TargetError) as error:
        target.facts()
    assert "ssh-keygen" not in str(error.value)
    assert "ssh-copy-id" not in str(error.value)
    assert "github.com" not in str(error.value)
    assert "the connection was closed" in error.value.problem


def test_advice_about_a_changed_key_names_our_own_line(config, server, tmp_path):
    other = (server.folder / "stranger.pub").read_text().split()[:2]
    known = tmp_path / "known"
    known.write_text(f"github.com {' '.join(other)}\n[127.0.0.1]:{server.port} {' '.join(other)}\n")
    changed = replace(config, ssh_config=str(server.config_file("own", UserKnownHostsFile=str(known))))
    with closing(SshTarget(changed)) as target, pytest.raises(TargetError, match="has changed") as error:
        target.facts()
    assert f"ssh-keygen -f {known} -R '[127.0.0.1]:{server.port}'" in error.value.hint


CUT = """
import os, signal
verb = "hello" if sys.argv[0] == "-c" else sys.argv[1]
if verb == "{verb}" and not os.path.exists("{mark}"):
    open("{mark}", "w").close()
    pid = os.getpid()
    while pid > 1:
        with open("/proc/%d/stat" % pid) as stream:
            words = stream.read().rpartition(")")[2].split()
        pid = int(words[1])
        with open("/proc/%d/comm" % pid) as stream:
            if stream.read().startswith("sshd"):
                os.kill(pid, signal.SIGKILL)
                break
    sys.exit(255)
"""


@pytest.mark.parametrize("verb", ["hello", "facts", "have", "put", "start"])
def test_a_connection_that_is_cut_before_the_job_starts_is_tried_again(config, tmp_path, onnx_models, verb):
    mark = tmp_path / "cut"
    python = wrapped(tmp_path / "fault", CUT.format(verb=verb, mark=mark))
    models = [{"key": "a", "path": str(onnx_models / "uint8.onnx")}]
    with closing(SshTarget(replace(config, python=python), notes := Notes())) as target:
        assert target.facts()["system"]
        events = [event["event"] for event in target.run("sustained", {"models": models, "seconds": 1, "threads": 1})]
    assert mark.exists()
    assert (events[0], events[-1]) == ("sustained_start", "sustained_end")
    assert len(notes.warnings) == 1
    assert "lost the job" not in notes.warnings[0]


def test_links_are_not_sent_as_something_else(config, tmp_path, onnx_models, colours):
    secret = tmp_path / "id_ed25519"
    secret.write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    model, image = str(onnx_models / "uint8.onnx"), next((colours / "red").iterdir())
    made = {}
    for name, aim in {"golden.npz": secret, "m.onnx": secret, "m.tflite": secret, "x.png": secret}.items():
        made[name] = tmp_path / name
        made[name].symlink_to(aim)
    true = tmp_path / "true.npz"
    np.savez(true, inputs=np.zeros((1, 32, 32, 3), np.uint8), outputs=np.zeros((1, 3), np.float32))
    (tmp_path / "link.npz").symlink_to(true)
    plain = tmp_path / "plain.npz"
    plain.write_bytes(secret.read_bytes())
    os.mkfifo(tmp_path / "pipe.png")
    base = {"key": "a", "path": model}
    with closing(SshTarget(config)) as target:
        for verb, job in [
            *(("verify", {"models": [base], "golden": {"a": str(tmp_path / name)}}) for name in
              ("golden.npz", "link.npz", "plain.npz")),
            ("probe", {"models": [{"path": str(made["m.onnx"])}]}),
            ("probe", {"models": [{"path": str(made["m.tflite"])}]}),
            ("latency", {"models": [{**base, "images": [str(made["x.png"])]}]}),
            ("predict", {"models": [base], "root": str(tmp_path), "files": ["x.png"]}),
            ("predict", {"models": [base], "root": str(tmp_path), "files": ["pipe.png"]}),
        ]:  # fmt: skip
            with pytest.raises(InputError) as error:
                list(target.run(verb, job))
            assert error.value.exit_code == 2
        (tmp_path / "good.png").symlink_to(image)
        (tmp_path / "good.onnx").symlink_to(model)
        job = {"models": [{"path": str(tmp_path / "good.onnx")}], "root": str(tmp_path), "files": ["good.png"]}
        assert list(target.run("predict", job))
    sent = [path.read_bytes() for path in (tmp_path / "work" / "objects").iterdir()]
    assert not any(b"PRIVATE KEY" in content for content in sent)


def test_escape_sequences_of_a_device_do_not_reach_the_terminal(config, tmp_path, project, capsys, onnx_models):
    event = {
        "event": "error",
        "kind": "model",
        "reason": "\x1b]0;gone\x07\x1b[2J\nhint: curl x | sh\u202e",
        "where": "\x9b1m",
    }
    script = f"[ \"$verb\" = start ] && {{ cat >/dev/null; printf '%s\\n' '{json.dumps(event)}'; exit; }}"
    bad = device(config, tmp_path / "bad", script)
    model = str(onnx_models / "uint8.onnx")
    code, said = exit_code(bad, project, capsys, "bench", model, "--target", "loop", "--out", str(project))
    assert code == 2
    assert "\\x1b]0;gone\\x07\\x1b[2J hint: curl x | sh\\u202e" in said
    assert all(character.isprintable() or character == "\n" for character in said)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
def test_nothing_stays_after_a_signal(config, project, onnx_models, tmp_path, number):
    add_target(config, project / "targets.toml")
    model = str(onnx_models / "labelled.onnx")
    command = [sys.executable, "-m", "edgekit", "bench", model, "--target", "loop", "--protocol", "full"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [*command, "--threads", "1", "--out", str(project)], cwd=project, env=environment, stderr=subprocess.PIPE
    )
    jobs = tmp_path / "work" / "jobs"
    wait_until(lambda: any(b'"block"' in (job / "lines.jsonl").read_bytes() for job in jobs.glob("*")))
    assert clients(process.pid)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    assert "Traceback" not in said
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    wait_until(lambda: not clients(process.pid), 30)
    with closing(SshTarget(config)) as target:
        assert target.facts()["busy"] is None, "others can measure at once"
    (folder,) = jobs.iterdir()
    lines = (folder / "lines.jsonl").read_bytes()
    time.sleep(2)
    assert (folder / "lines.jsonl").read_bytes() == lines


def test_a_bench_under_nohup_survives_the_terminal(project, onnx_models):
    model = str(onnx_models / "labelled.onnx")
    command = ["nohup", sys.executable, "-m", "edgekit", "bench", model, "--protocol", "quick", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [*command, "--out", str(project)],
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(3)
    process.send_signal(signal.SIGHUP)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0, said


def clients(pid: int) -> list[str]:
    """The ssh processes that use the shared connection of the edgekit with this process id."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if f"edgekit-ssh-{os.getuid()}/{pid}-" in words or f"/edgekit-ssh/{pid}-" in words:
            found.append(words)
    return found


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_nothing_new_starts_after_an_abort(config, tmp_path):
    """Another thread may give up between two requests, when no client runs that it could end."""
    with closing(SshTarget(config)) as target:
        target.facts()
        target.abort()
        with pytest.raises(EdgekitError, match="interrupted"):
            list(target.run("probe", {}))


def test_kill_9_while_connecting_leaves_no_client(config, server, project):
    slow = 'bash -c "sleep 2; exec 3<>/dev/tcp/127.0.0.1/%p; cat <&3 & exec cat >&3"'
    if shutil.which("bash") is None:
        pytest.skip("a slow connection is made with bash")
    path = server.config_file("slow", ProxyCommand=slow)
    add_target(replace(config, ssh_config=str(path)), project / "targets.toml")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "edgekit", "target", "doctor", "loop"]
    process = subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: len(clients(process.pid)) > 1)
    process.kill()
    process.wait()
    wait_until(lambda: not clients(process.pid), 40)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_program_that_was_ended_is_not_a_damaged_file(number):
    error = crash(-number, "model.onnx", "")
    assert not isinstance(error, InputError)
    assert "ended by somebody else" in error.problem


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_measurement_on_every_target(config, project, onnx_models, tmp_path, number):
    works = {"loop": tmp_path / "work", "second": tmp_path / "work2"}
    for name, work in works.items():
        add_target(replace(config, name=name, folder=str(work)), project / "targets.toml")
    model = str(onnx_models / "labelled.onnx")
    command = [sys.executable, "-m", "edgekit", "bench", model, "--target", "loop", "--target", "second"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [*command, "--protocol", "full", "--threads", "1", "--out", str(project)],
        cwd=project,
        env=environment,
        stderr=subprocess.PIPE,
    )

    def measured(work: Path) -> bool:
        return any(b'"block"' in (job / "lines.jsonl").read_bytes() for job in (work / "jobs").glob("*"))

    wait_until(lambda: all(map(measured, works.values())))
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, "Traceback" in said) == (130, False), said
    wait_until(lambda: not clients(process.pid), 20)
    for work in works.values():
        with closing(SshTarget(replace(config, folder=str(work)))) as target:
            assert target.facts()["busy"] is None
