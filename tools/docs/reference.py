"""Write the generated reference pages; with ``--check``, only say which are out of date (exit code 1).

Example: python tools/docs/reference.py
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from docgen import stale, write  # noqa: E402 - the folder has to be on the path first
from docgen.markdown import COMMAND  # noqa: E402


def main(arguments: list[str]) -> int:
    """Write or check the pages; returns the exit code."""
    if arguments == ["--check"]:
        names = stale()
        for name in names:
            sys.stderr.write(f"out of date: {name}\n")
        if names:
            sys.stderr.write(f"hint: run `{COMMAND}` and commit the result\n")
        return 1 if names else 0
    if arguments:
        sys.stderr.write((__doc__ or "") + "\n")
        return 2
    for name in write():
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
