"""The contents of the working folder on a device, which is the current folder of the device program."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from .runtime_table import SUFFIXES

MARKER = ".edgekit-folder"
"""A file in each working folder that edgekit created, or that was empty when edgekit first used it."""

OBJECTS = Path("objects")
"""Files that the host sent, named by their content."""

ENVIRONMENTS = Path("env")
"""Private packages: a folder for each environment, and the file ``current`` with the name of the one in use."""

JOBS = Path("jobs")
"""A folder for each background job."""

DEPLOYMENTS = Path("deploy")
"""A folder for each deployed model."""

OWNER = Path("owner.json")
"""The session that has the device."""

PROGRAM = "edgekit-device.pyz"
"""The device program in a deployment."""

SETTINGS = "preprocessing.json"
"""What a deployment says about a third-party model: a model entry of a job, without paths."""

TUNED = "settings.json"
"""The runtime, threads and other settings that a deployed model runs with: keys of a model entry of a job."""

STATISTICS = "statistics.json"
"""What a deployment knows about the test split, for the drift check."""

TOKEN = "watch-token"  # noqa: S105 - the name of a file
"""The token of the page of ``watch``, which the device program creates in a deployment."""

MODELS = tuple(f"model{suffix}" for suffix in SUFFIXES)
"""What the file of a deployed model may be called."""

DEPLOYED = (
    *MODELS, "labels.txt", "golden.npz", "README.txt", "site",
    SETTINGS, TUNED, STATISTICS, PROGRAM,
)  # fmt: skip
"""What `edgekit deploy` puts into a folder."""


def deployed_names(folder: Path) -> set[str]:
    """What `edgekit deploy` put into ``folder``, with the external data of a third-party model."""
    names = set(DEPLOYED)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        names.update(json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["external_data"])
    return names
