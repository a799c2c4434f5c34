"""`target add` and `target remove` on files that a person wrote: only the target in question changes."""

from __future__ import annotations

import stat

import pytest

from edgekit.errors import InputError
from edgekit.targets import targets_file
from edgekit.targets.config import TargetConfig, add_target, known_targets, project_file, remove_target

NAS = "[nas]\nhost = 'b'\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pi = { host = 'a', port = 22 } # mine\n" + NAS, NAS),
        ('nas = {host = "b"}\n"pi" = {host = "a"}\n', 'nas = {host = "b"}\n'),
        ("['pi']\nhost = 'a'\n" + NAS, NAS),
        ('[ "pi" ]\nhost = "a"\n\n' + NAS, NAS),
        ('["\\u0070i"]\nhost = "a"\n' + NAS, NAS),
        ("[nas]\nhost = 'b'\n[ 'pi' ] # [nas]\nhost = 'a'\n", NAS),
        ("pi.host = 'a'\nnas.host = 'b'\npi.user = 'c'\n", "nas.host = 'b'\n"),
        ("'pi'.host = 'a' # c\n\"pi\".'port' = 22\n# about nas\nnas.host = 'b'\n", "# about nas\nnas.host = 'b'\n"),
        ("[pi]\nhost = 'a'\n\n# about nas\n" + NAS, "# about nas\n" + NAS),
        ("[pi]\nhost = 'a'\n# about nas\n" + NAS, "# about nas\n" + NAS),
        ("# my boards\n\n[pi]\n# old\nhost = 'a'\n\n# one\n\n# two\n" + NAS, "# my boards\n\n# one\n\n# two\n" + NAS),
        (NAS + "\n[pi]\nhost = 'a'\n# the end", NAS + "\n# the end\n"),
        ("[pi]\nhost = 'a'\n", ""),
        ("[pi]\nhost = 'a' # [x]\npython = '[nas]'\n" + NAS, NAS),
        ("[pi]\nhost = '''a'''\nthreads = [\n  1, # [nas]\n  4,\n]\n" + NAS, NAS),
        ("[pi]\r\nhost = 'a'\r\n\r\n# n\r\n[nas]\r\nhost = 'b'\r\n", "# n\r\n[nas]\r\nhost = 'b'\r\n"),
        ("  [pi]\n  host = 'a'\n  [nas]\n  host = 'b'\n", "  [nas]\n  host = 'b'\n"),
    ],
)
def test_only_the_target_is_removed(project, before, after):
    project_file().write_bytes(before.encode())
    remove_target("pi")
    assert project_file().read_bytes().decode() == after
    assert "pi" not in known_targets()


def test_a_string_that_looks_like_a_table_stays_whole(project):
    text = "[nas]\nhost = 'b'\npython = '''\\\n[pi]\n'''\n"
    fake = "[pi]\nhost = 'a'\n\n" + text
    project_file().write_text(fake)
    targets_file.remove_table(project_file(), "pi")
    assert project_file().read_text() == text
    project_file().write_text(text + "\n[pi]\nhost = 'a'\n")
    targets_file.remove_table(project_file(), "pi")
    assert project_file().read_text() == text


@pytest.mark.parametrize("before", ["nas.host = 'b' # no line end", "nas = {host = 'b'}\r\n# c\r\n", "# only\n"])
def test_a_target_is_added_to_whatever_is_there(project, before):
    project_file().write_bytes(before.encode())
    known = set(known_targets())
    add_target(TargetConfig("pi", "a"), project_file())
    text = project_file().read_bytes().decode()
    assert text.startswith(before)
    assert "\r\n" not in before or "\n" not in text.replace("\r\n", "")
    assert set(known_targets()) == known | {"pi"}
    remove_target("pi")
    assert project_file().read_bytes().decode().rstrip() == before.rstrip()


@pytest.mark.parametrize("written", ["pi = {host = 'a'}\n", "'pi'.host = 'a'\n", '["pi"]\nhost = "a"\n'])
def test_a_target_is_not_added_twice_however_it_is_written(project, written):
    project_file().write_text(written)
    with pytest.raises(InputError, match="already a target"):
        add_target(TargetConfig("pi", "b"), project_file())
    assert project_file().read_text() == written


def test_a_link_and_its_permissions_stay(project, tmp_path):
    real = tmp_path / "dotfiles.toml"
    real.write_text("[pi]\nhost = 'a'\n" + NAS)
    real.chmod(0o600)
    project_file().symlink_to(real)
    remove_target("pi")
    add_target(TargetConfig("new", "c"), project_file())
    assert project_file().is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert real.read_text() == NAS + '\n[new]\nhost = "c"\n'


@pytest.mark.parametrize("text", ["\ufeff[pi]\nhost = 'a'\n", "[pi]\nhost = 'a'\nhost = 'b'\n", "pi = " + "[" * 5000])
def test_files_that_are_not_toml_stay_as_they_are(project, text):
    project_file().write_bytes(text.encode())
    with pytest.raises(InputError, match="not valid TOML"):
        remove_target("pi")
    with pytest.raises(InputError, match="not valid TOML"):
        add_target(TargetConfig("new", "c"), project_file())
    assert project_file().read_bytes() == text.encode()
