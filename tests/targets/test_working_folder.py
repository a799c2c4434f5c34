"""The working folder on a target: which folders are accepted, and that purge removes only edgekit's own files."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import exit_code

from edgekit.cli.app import main
from edgekit.device.working_folder import MARKER
from edgekit.errors import TargetError
from edgekit.targets.bootstrap import ENTER, SYSTEM_FOLDER
from edgekit.targets.config import TargetConfig, add_target
from edgekit.targets.connection import quoted
from edgekit.targets.device_program import program, program_name
from edgekit.targets.ssh import SshTarget


def prepare(config: TargetConfig, folder: Path | None = None) -> None:
    with closing(SshTarget(config if folder is None else replace(config, folder=str(folder)))) as target:
        target.facts()


def purge(config: TargetConfig, project: Path, capsys) -> list[str]:
    add_target(config, project / "targets.toml")
    with pytest.raises(SystemExit) as stop:
        main(["target", "remove", "loop", "--purge", "--json"])
    captured = capsys.readouterr()
    assert stop.value.code in (0, None), captured.err
    return json.loads(captured.out)["left"]


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write(folder: Path, *names: str) -> dict[str, str]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    return tree(folder)


MINE = (
    "env/bin/python",
    "env/pyvenv.cfg",
    "deploy/app/run.sh",
    "deploy/app/model.tflite",
    "deploy/compose.yaml",
    "jobs/monday/job.json",
    "objects/photo.png",
    "notes.txt",
)


def test_purge_removes_a_folder_that_edgekit_created(config, project, capsys):
    prepare(config)
    work = Path(config.folder)
    assert (work / MARKER).is_file()
    for own in ("env/0123456789abcdef/site/x.py", f"jobs/{'a' * 32}/job.json", "env/current", "env/pip/pyvenv.cfg"):
        write(work, own)
    write(work, *(f"deploy/box/{name}" for name in ("model.onnx", "labels.txt", "edgekit-device.pyz")))
    write(work, f"objects/{'b' * 64}.onnx.12.part")
    (work / "deploy" / "box" / "site").symlink_to("../../env/0123456789abcdef/site")
    assert purge(config, project, capsys) == []
    assert not work.exists()


def test_purge_keeps_files_that_edgekit_did_not_create(config, project, capsys, tmp_path):
    prepare(config)
    work = Path(config.folder)
    (tmp_path / "elsewhere").mkdir()
    outside = write(tmp_path / "elsewhere", "model.onnx", "edgekit-device.pyz")
    for name in ("deploy", "jobs"):
        (work / name).mkdir(exist_ok=True)
    (work / "deploy" / "linked").symlink_to(tmp_path / "elsewhere")
    (work / "jobs" / ("c" * 32)).symlink_to(tmp_path / "elsewhere")
    write(work, *MINE)
    assert purge(config, project, capsys) == ["deploy", "env", "jobs", "notes.txt", "objects"]
    assert tree(work) == dict.fromkeys(MINE, "mine")
    assert tree(tmp_path / "elsewhere") == outside


def test_a_folder_with_other_files_is_refused(config, project, capsys):
    work = Path(config.folder)
    before = write(work, *MINE)
    code, said = exit_code(config, project, capsys, "target", "setup", "loop")
    assert code == 4
    assert "contains files that edgekit did not create" in said
    assert "new or empty folder" in said
    code, _ = exit_code(config, project, capsys, "target", "remove", "loop", "--purge")
    assert code == 4
    assert tree(work) == before


@pytest.mark.parametrize("name", [".hidden", "objects/photo.png", "env/bin/python", "deploy/x", f"objects/{'a' * 63}"])
def test_a_single_other_file_is_enough_to_refuse(config, name):
    before = write(Path(config.folder), name)
    with pytest.raises(TargetError, match="did not create"):
        prepare(config)
    assert tree(Path(config.folder)) == before


@pytest.mark.parametrize("how", ["empty", "an older edgekit's", "an older edgekit's, interrupted", "a link"])
def test_empty_folders_and_those_of_older_versions_are_accepted(config, how, tmp_path):
    work = Path(config.folder)
    work.mkdir()
    if how == "an older edgekit's":
        write(work, "owner.json", "lock", f"objects/{'0' * 64}.onnx", f"objects/{'1' * 64}")
        (work / "objects" / program_name()).write_bytes(program())
    elif how == "an older edgekit's, interrupted":
        (work / "objects").mkdir()
    elif how == "a link":
        work.rmdir()
        (tmp_path / "disk").mkdir()
        work.symlink_to(tmp_path / "disk")
    prepare(config)
    assert (work / MARKER).is_file()
    prepare(config)


def enter(folder: Path, home: Path) -> int:
    """The exit code of the script that enters the working folder, in this machine's shell with another home."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    script = f"w={quoted(str(folder))}{ENTER}"
    return subprocess.run(["sh", "-c", script], env=environment, check=False, capture_output=True).returncode


def test_home_folders_and_those_above_are_refused_under_any_name(tmp_path):
    home = tmp_path / "people" / "pi"
    home.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "link up").symlink_to(tmp_path / "people")
    for folder in (home, home.parent, tmp_path / "link", tmp_path / "link up", home / "x" / ".."):
        assert enter(folder, home) == SYSTEM_FOLDER
        assert enter(folder, tmp_path / "link") == SYSTEM_FOLDER
    assert not list(tmp_path.rglob("objects"))
    assert enter(home / "edgekit", home) == 0
    assert enter(tmp_path / "people" / "pink", home) == 0, "its name only starts like that of the home"


@pytest.mark.parametrize("place", ["/proc", "/proc/self"])  # where nothing could be written anyway
def test_a_link_to_a_system_folder_is_refused(config, tmp_path, place):
    (tmp_path / "link").symlink_to(place)
    with pytest.raises(TargetError, match="a system folder"):
        prepare(config, tmp_path / "link")
