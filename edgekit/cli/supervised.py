"""A command of a study in a process of its own that ends when the study does, however that ends.

    python -m edgekit.cli.supervised train RECIPE --run DIR ...

The study holds the other end of this process's standard input and never writes to it. When the study is gone, also by
``kill -9``, the system closes it; what is read then is the end, and this process and all it started are ended. Without
that, a killed study would leave a training behind that writes into the folder which the resumed study works on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def _watch() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Take the rest of the command line as a command of edgekit."""
    os.setpgid(0, 0)  # a group of its own: it is ended as a whole, and the study not with it
    threading.Thread(target=_watch, daemon=True).start()
    from edgekit.cli.app import main as edgekit

    edgekit(sys.argv[1:])


if __name__ == "__main__":
    main()
