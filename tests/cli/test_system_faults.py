"""What a shell, a disk or a system does to a command: each has an exit code and one message, and no traceback."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.cli.failures import as_edgekit_error
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.support.locks import LOCK_FILE, folder_lock
from edgekit.support.os_errors import check_writable, from_os_error

REPOSITORY = Path(__file__).parents[2]
FULL = Path("/dev/full")


def shell(line: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m edgekit ARGUMENTS`` in a real process, with the redirections in ``line``."""
    return subprocess.run(
        ["bash", "-c", f'exec "$0" -m edgekit "$@" {line}', sys.executable, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("line", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_stream_that_is_closed_or_full_is_no_reason_to_fail(line: str) -> None:
    answer = shell(line, "list", "formats")
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("arguments", [["list", "formats", "--json"], ["--version"]])
def test_a_result_that_cannot_be_written_is_an_error(arguments: list[str]) -> None:
    answer = shell(">/dev/full", *arguments)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: the result could not be written to standard output: no space left")
    assert "Traceback" not in answer.stderr
    assert "bug" not in answer.stderr


@pytest.mark.parametrize("columns", ["0", "", "1", "x"])
def test_messages_are_shown_whatever_the_width_of_the_terminal(columns: str) -> None:
    answer = shell("", "evaluate", "nothing", COLUMNS=columns)
    assert "this run folder does not exist" in answer.stderr


def test_a_reader_that_has_ended_is_not_told_about() -> None:
    """As in ``edgekit list backbones | head -1``, where nobody reads the rest."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edgekit", "list", "backbones", "--json"]
    answer = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (answer.returncode, answer.stderr) == (1, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_both_streams_escape_what_their_encoding_lacks(encoding: str) -> None:
    answer = shell("", "evaluate", "k\u00e4fer \u2192", PYTHONIOENCODING=encoding, LC_ALL="C.UTF-8")
    assert answer.returncode == 2
    assert "\\u2192" in answer.stderr


def test_ctrl_c_while_edgekit_is_imported_is_an_interrupt() -> None:
    code = (
        "import os, signal, sys\n"
        "class Sender:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Sender())\n"
        "import edgekit.__main__"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (130, "interrupted\n")


def test_the_command_starts_before_anything_slow_is_imported() -> None:
    code = "import sys, edgekit; print([m for m in ('typing', 'typer', 're', 'enum') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert answer.stdout == "[]\n", answer.stderr


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError(28, "x", "f"), "the disk is full"),
        (OSError(30, "x", "f"), "the file system is read-only"),
        (OSError(27, "x", "f"), "the file would be larger than this system allows"),
        (PermissionError(13, "x", "f"), "permission denied"),
        (OSError(36, "x", "f"), "this name is too long"),
        (OSError(5, "x", "f"), "the disk reports an input/output error"),
        (RuntimeError("can't start new thread"), "this system allows no more threads"),
        (ModuleNotFoundError("No module named 'cv2'", name="cv2"), "the package cv2 cannot be imported"),
    ],
)
def test_what_the_system_refuses_is_no_bug(error: Exception, problem: str) -> None:
    told = as_edgekit_error(error)
    assert told.problem.startswith(problem)
    assert "bug" not in (told.hint or "")


@pytest.mark.parametrize("number", [36, 40], ids=["ENAMETOOLONG", "ELOOP"])
def test_a_name_that_no_system_could_open_is_an_input_error(number: int) -> None:
    assert as_edgekit_error(OSError(number, "x", "f")).exit_code == 2


def test_the_file_of_a_failed_rename_is_the_one_that_should_come_out() -> None:
    assert from_os_error(OSError(18, "Invalid cross-device link", "a.tmp", None, "a")).where == "a"


# Folders that cannot be written


@pytest.mark.parametrize("place", ["/proc/edgekit/run", "file/run"])
def test_a_folder_that_cannot_be_written_is_refused_at_once(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError):
        check_writable(Path(place))


def test_too_little_room_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="MB are free"):
        check_writable(tmp_path, 1 << 60)
    assert list(tmp_path.iterdir()) == []


def test_a_limit_on_file_sizes_is_found_before_training(tmp_path: Path) -> None:
    images(tmp_path / "images")
    answer = subprocess.run(
        [sys.executable, "-m", "edgekit", "train", "--data", str(tmp_path / "images"), "--run", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert answer.returncode == 2, answer.stderr
    assert "ulimit -f" in answer.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", [["list", "backbones"], ["target", "list"], ["doctor"]])
def test_a_user_id_without_an_account_has_no_home(arguments: list[str], tmp_path: Path) -> None:
    """As in a container that runs with ``--user 54321``."""
    code = (
        "import pwd, sys\n"
        "def unknown(uid): raise KeyError(f'getpwuid(): uid not found: {uid}')\n"
        "pwd.getpwuid = unknown\n"
        "from edgekit.__main__ import main; main()"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "EDGEKIT_CACHE", "XDG_CONFIG_HOME")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'cd "{gone}" && rmdir "{gone}" && exec {sys.executable} -m edgekit target list'
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, env=environment)
    assert answer.returncode == 1
    assert "the current folder no longer exists" in answer.stderr


# Locks


def test_two_processes_do_not_work_on_one_folder(tmp_path: Path) -> None:
    run = tmp_path / "a" / "run"
    code = (
        "import time; from pathlib import Path; from edgekit.documents.folders import RunFolder\n"
        f"with RunFolder(Path({str(run)!r})).lock(): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"another edgekit process is working on this run .process {other.pid}"):
        RunFolder(run).lock().__enter__()
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (run / LOCK_FILE).is_file(), "a killed process leaves it"
    with RunFolder(run).lock():
        pass


def test_a_lock_leaves_nothing(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "a" / "b", "busy"):
        assert (tmp_path / "a" / "b" / LOCK_FILE).is_file()
    assert list(tmp_path.iterdir()) == []
    with folder_lock(tmp_path / "a" / "b", "busy"):
        (tmp_path / "a" / "b" / "result").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["result"]


def test_a_lock_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK_FILE).symlink_to(outside)
    with pytest.raises(InputError):
        folder_lock(tmp_path / "run", "busy").__enter__()
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("verb", [["train", "--resume", "--run"], ["evaluate"]])
def test_a_locked_run_is_refused_by_every_command_that_writes_it(verb: list[str], tmp_path: Path) -> None:
    from runfolders import run_document

    run = RunFolder(tmp_path / "run")
    run_document("run", tmp_path / "images").write(run.run_json)
    with run.lock():
        answer = shell("", *verb, str(run.path))
    assert answer.returncode == 2
    assert "another edgekit process is working on this run" in answer.stderr


# Names and paths


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/b", "..", ".hidden", "a\\b", "a\nb", "", "x" * 300])
def test_the_name_of_a_recipe_cannot_lead_out_of_a_folder(name: str) -> None:
    from edgekit.recipe import validate

    with pytest.raises(InputError, match="name"):
        validate({"name": name}, "test")


def test_commands_that_are_printed_can_be_pasted() -> None:
    run = RunFolder(Path("my runs/it's; rm -rf x"))
    assert run.resume_command == """edgekit train --run 'my runs/it'"'"'s; rm -rf x' --resume"""
    assert run.export_command == """edgekit export 'my runs/it'"'"'s; rm -rf x'"""


def test_a_file_is_not_said_not_to_exist(tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    answer = shell("", "evaluate", str(tmp_path / "model.keras"))
    assert answer.returncode == 2
    assert "this is a file, not a run folder" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "FILE"], "this is a file, not a run or study folder"),
        (["train", "FOLDER"], "this is a folder, not a recipe file"),
        (["predict", "FOLDER", "FILE"], "this is a folder, not a model file"),
        (["init", "FOLDER", "-o", "FOLDER"], "this is a folder, not a file"),
        (["compare", "quickstart", "--out", "FILE"], "this is a file, not a folder"),
    ],
)
def test_files_and_folders_are_told_apart(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    (tmp_path / "FOLDER").mkdir()
    answer = shell("", *arguments, PYTHONPATH=str(REPOSITORY))
    assert answer.returncode == 2
    assert said in answer.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FILE", "FOLDER"]


# Stored arrays


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", bytes(200)])
def test_damaged_predictions_are_bad_input(content: bytes, tmp_path: Path) -> None:
    """An empty file made Typer believe that the user had pressed Ctrl-D."""
    from runfolders import run_document

    run = RunFolder(tmp_path / "run")
    run_document("run", tmp_path / "images").write(run.run_json)
    run.predictions.write_bytes(content)
    answer = shell("", "report", str(run.path))
    assert answer.returncode == 2, answer.stderr
    assert "this file is damaged" in answer.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": np.zeros(0, np.int64)},
        {"labels": np.array([0, 9])},
        {"labels": np.array([0.5, 1.0])},
        {"probabilities": np.full((2, 3), np.nan)},
        {"probabilities": np.zeros((2, 0))},
        {"probabilities": np.zeros(2)},
        {"probabilities": np.zeros((1, 2, 3))},
        {"files": np.array(["a", "a"])},
        {"files": np.array("a")},
        {"files": np.array([1, 2])},
        {"labels": np.array([None, object()], dtype=object)},
    ],
)
def test_predictions_of_another_shape_are_damaged(changes: dict[str, np.ndarray], tmp_path: Path) -> None:
    from edgekit.documents.arrays import read_predictions

    arrays = {"labels": np.array([0, 1]), "probabilities": np.full((2, 3), 0.3), "files": np.array(["a", "b"])}
    np.savez(tmp_path / "good.npz", **arrays)
    assert read_predictions(tmp_path / "good.npz").files == ("a", "b")
    np.savez(tmp_path / "bad.npz", **{**arrays, **changes})
    with pytest.raises(InputError, match="damaged"):
        read_predictions(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    "text", ['{"schema_version": ' + "9" * 5000 + "}", "[" * 100_000, "\ufeff{}", '{"schema_version": true}']
)
def test_documents_that_python_alone_cannot_read(text: str, tmp_path: Path) -> None:
    from edgekit.documents.run import RunDocument

    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        RunDocument.read(file)
    assert error.value.where == str(file)


def test_a_folder_is_no_document(tmp_path: Path) -> None:
    from edgekit.documents.base import read_json

    with pytest.raises(InputError, match="this is a folder"):
        read_json(tmp_path)


# Keras's own settings


@pytest.mark.parametrize(
    "settings", [{"floatx": "float8"}, {"image_data_format": 3}, {"epsilon": "small"}, ["channels_first"]]
)
def test_settings_of_keras_that_keep_it_from_starting_are_named(
    settings: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.support.frameworks import check_keras_settings

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="Keras") as error:
        check_keras_settings()
    assert str(tmp_path / "keras.json") in str(error.value)


def images(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / name / f"{number}.png")


def test_absurd_thread_counts_are_refused() -> None:
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    for text in ("100000000", "-1", "1,a", "", "9" * 5000, "1e3"):
        answer = shell("", "bench", "nothing", f"--threads={text}")
        assert answer.returncode == 2
        assert "--threads takes numbers from 0 (all cores) to 1024" in answer.stderr
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.ru_utime - started.ru_utime < 60, "seconds of a core, for six commands"
