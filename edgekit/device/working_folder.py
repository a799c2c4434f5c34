"""The contents of the working folder on a device, which is the current folder of the device program."""

from __future__ import annotations

from pathlib import Path

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

DEPLOYED = ("model.tflite", "model.onnx", "labels.txt", "golden.npz", "README.txt", SETTINGS, TUNED, PROGRAM, "site")
"""What `edgekit deploy` puts into a folder."""
