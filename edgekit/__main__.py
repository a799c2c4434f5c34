"""``python -m edgekit``, and what the installed command ``edgekit`` runs."""

from __future__ import annotations

# The built-in module behind `signal`: Ctrl-C has to be handled before anything that takes time is imported.
import _signal  # type: ignore[import-not-found]
import os


def _quit(_number: int, _frame: object) -> None:
    """End at once: a command that is still being imported has nothing to save."""
    os.write(2, b"interrupted\n")
    os._exit(130)


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _quit)

from edgekit.cli.app import main as _main  # noqa: E402
from edgekit.support.quiet import hide_library_warnings  # noqa: E402


def main() -> None:
    """Run the command line. Always ends with :class:`SystemExit`."""
    hide_library_warnings()
    try:
        _main()
    finally:
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # an interrupt of Python's own end would be a traceback


if __name__ == "__main__":
    main()
