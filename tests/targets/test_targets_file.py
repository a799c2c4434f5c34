"""targets.toml: what is read, what is refused, and that a person's own lines stay."""

from __future__ import annotations

import pytest

from edgekit.errors import InputError, TargetError
from edgekit.targets.config import (
    TargetConfig,
    add_target,
    find_target,
    known_targets,
    project_file,
    read_targets,
    remove_target,
    user_file,
)
from edgekit.targets.connection import shell_path


def test_a_written_target_is_read_back(project):
    config = TargetConfig(
        "pi4", "raspberrypi.local", user="pi", port=2222, python="/opt/my python/bin/python3",
        folder='~/bench "x" é', threads=(1, 4), runtime="tflite-runtime", ssh_config="/home/me/ssh",
    )  # fmt: skip
    add_target(config, project_file())
    assert read_targets(project_file()) == [config]
    assert find_target("pi4") == config
    with pytest.raises(InputError, match="already a target"):
        add_target(config, project_file())


def test_the_rest_of_the_file_is_kept(project):
    project_file().write_text("# my boards\n[old]\nhost = 'a'  # in the cellar\n\n[other]\nhost = 'b'")
    add_target(TargetConfig("new", "c"), project_file())
    remove_target("old")
    assert project_file().read_text() == "# my boards\n[other]\nhost = 'b'\n\n[new]\nhost = \"c\"\n"


def test_the_project_file_takes_precedence(project):
    add_target(TargetConfig("pi", "far"), user_file())
    add_target(TargetConfig("nas", "nas"), user_file())
    add_target(TargetConfig("pi", "near"), project_file())
    assert {name: config.host for name, (config, _) in known_targets().items()} == {"pi": "near", "nas": "nas"}
    with pytest.raises(TargetError, match="known targets: local, web, pi, nas"):
        find_target("pi9")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[pi]\nhost = '-oProxyCommand=touch x'", "not a host name"),
        ("[pi]\nhost = 'a; rm -rf b'", "not a host name"),
        ("[pi]\nhost = 'a'\nuser = '-l'", "not a user name"),
        ("[pi]\nhost = 'a'\nport = 70000", "not a port"),
        ("[pi]\nhost = 'a'\nport = '22'", "wrong type"),
        ("[pi]\nhost = 'a'\npython = '-c'", "python is not a path"),
        ("[pi]\nhost = 'a'\nfolder = \"/x\\ny\"", "folder is not a path"),
        ("[pi]\nhost = 'a'\nfolder = 'relative'", "must start with /"),
        ("[pi]\nhost = 'a'\nfolder = '~/'", "separate folder"),
        ("[pi]\nhost = 'a'\nthreads = [1, 'all']", "list of numbers"),
        ("[pi]\nhost = 'a'\nruntime = 'tensorrt'", "choose one of"),
        ("[pi]\nhost = 'a'\npasswort = 'x'", "unknown key 'passwort'"),
        ("[local]\nhost = 'a'", "the name of a built-in target"),
        ("[web]\nhost = 'a'", "the name of a built-in target"),
        ("['a b']\nhost = 'a'", "invalid target name"),
        ("[pi]\nuser = 'a'", "at least a host"),
        ("pi = 3", "at least a host"),
        ("[pi\n", "not valid TOML"),
    ],
)
def test_invalid_files_are_refused(project, text, said):
    project_file().write_text(text)
    with pytest.raises(InputError) as error:
        known_targets()
    assert said in error.value.problem
    assert "targets.toml" in error.value.where


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("~/.edgekit", '"$HOME"/.edgekit'),
        ("~/a b", "\"$HOME\"/'a b'"),
        ("/x/$(reboot)", "'/x/$(reboot)'"),
        ("/x/'; reboot", "'/x/'\"'\"'; reboot'"),
    ],
)
def test_paths_are_one_word_of_the_remote_shell(path, word):
    assert shell_path(path) == word


@pytest.mark.parametrize(
    "path",
    [
        *("/", "//", "/..", "/etc", "/etc/edgekit", "//etc", "/x/../etc/", "/usr", "/usr/lib/x", "/var", "/var/lib"),
        *("/home", "/home/", "/home/pi", "/home/pi/x/..", "/root", "/tmp", "/tmp/.", "/opt", "/mnt", "/Users/me"),
        *("~/", "~/.", "~/..", "~/../..", "~/a/..", "~/a/../../b", "~//..", "~/../pi"),
    ],
)
def test_home_and_system_folders_are_refused(project, path):
    with pytest.raises(InputError, match="folder must be a separate folder"):
        add_target(TargetConfig("pi", "pi", folder=path), project_file())
    assert not project_file().exists()


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("~/.edgekit", "~/.edgekit"),
        ("~/a/../b//c/", "~/b/c"),
        ("~//etc", "~/etc"),
        ("/home/pi/edgekit", "/home/pi/edgekit"),
        ("//opt/./edgekit/", "/opt/edgekit"),
        ("/var/lib/edgekit", "/var/lib/edgekit"),
        ("/tmp/x/../edgekit", "/tmp/edgekit"),
    ],
)
def test_folders_are_normalized(project, path, normal):
    add_target(TargetConfig("pi", "pi", folder=path), project_file())
    assert find_target("pi").folder == normal
