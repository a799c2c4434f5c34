"""What all tests share: nothing of theirs lands in a person's own cache, and the native libraries are quiet."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "EDGEKIT_CACHE" not in os.environ:
    os.environ["EDGEKIT_CACHE"] = tempfile.mkdtemp(prefix="edgekit-test-cache-")
    atexit.register(shutil.rmtree, os.environ["EDGEKIT_CACHE"], ignore_errors=True)

# A script that starts the tests in its background has them and all their children ignore Ctrl-C, which tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same of nohup and SIGHUP.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# An example may take long where others take the cores.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
