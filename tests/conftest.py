"""What all tests share: nothing of theirs lands in a person's own cache, and the native libraries are quiet."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "EDGEKIT_CACHE" not in os.environ:
    os.environ["EDGEKIT_CACHE"] = tempfile.mkdtemp(prefix="edgekit-test-cache-")
    atexit.register(shutil.rmtree, os.environ["EDGEKIT_CACHE"], ignore_errors=True)
