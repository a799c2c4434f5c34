"""From the name of a target to the target."""

from __future__ import annotations

from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import WEB, Target
from edgekit.targets.config import find_target
from edgekit.targets.local import LOCAL, LocalTarget


def get_target(name: str, progress: Progress = SILENT) -> Target:
    """The target called ``name``. Raises :class:`TargetError` with the choices if there is none."""
    if name == LOCAL:
        return LocalTarget()
    if name == WEB:
        from edgekit.targets.web import WebTarget

        return WebTarget(progress)
    from edgekit.targets.ssh import SshTarget

    return SshTarget(find_target(name), progress)
