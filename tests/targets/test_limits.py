"""The settings of targets that limit what a device may do."""

from __future__ import annotations

import pytest

from edgekit.errors import InputError
from edgekit.targets.config import TargetConfig, add_target, project_file, read_targets
from edgekit.targets.limits import Limits


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
