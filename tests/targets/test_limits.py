"""The settings of targets that limit what a device may do."""

from __future__ import annotations

import pytest

from edgekit.errors import InputError, TargetError
from edgekit.targets.config import TargetConfig, add_target, project_file, read_targets
from edgekit.targets.limits import Limits
from edgekit.targets.ssh_process import SshProcess


def test_limits_are_settings_of_a_target(project):
    config = TargetConfig("pi", "a", silence_s=600, max_line_mb=1)
    add_target(config, project_file())
    assert project_file().read_text() == '[pi]\nhost = "a"\nmax_line_mb = 1\nsilence_s = 600\n'
    (read,) = read_targets(project_file())
    assert read == config
    assert read.limits == Limits(max_line_mb=1, silence_s=600)
    assert read.limits.line_bytes == 1 << 20


@pytest.mark.parametrize("value", ["0", "-1", "'120'", "true", "1.5"])
@pytest.mark.parametrize("key", ["max_line_mb", "max_job_mb", "silence_s", "job_silence_s"])
def test_invalid_limits_are_refused(project, key, value):
    project_file().write_text(f"[pi]\nhost = 'a'\n{key} = {value}\n")
    with pytest.raises(InputError, match=key):
        read_targets(project_file())


def lines_of(*command: str, **limits: int) -> list[bytes]:
    with SshProcess([*command], (), "pi", Limits(**limits)) as process:
        found = list(process.lines())
        process.ended()
    return found


def test_lines_arrive_whole(tmp_path):
    tool = tmp_path / "ssh"
    tool.write_text("#!/bin/sh\nshift 2\nfor i in 1 2 3; do printf 'a%s' $i; sleep 0.1; printf 'b\\nc'; done\n")
    tool.chmod(0o755)
    assert lines_of(str(tool)) == [b"a1b\n", b"ca2b\n", b"ca3b\n", b"c"]


def test_all_answers_together_are_limited(tmp_path):
    tool = tmp_path / "ssh"
    tool.write_text("#!/bin/sh\nshift 2\nyes 'a line'\n")
    tool.chmod(0o755)
    with pytest.raises(TargetError, match="more than 3 MB for one job") as error:
        lines_of(str(tool), max_job_mb=3)
    assert "max_job_mb" in error.value.hint
