"""Run the commands of the tutorial and put their real output into the page.

A ``text`` block that directly follows a ``bash`` block is the output of its commands. They run in the folder --work,
which has to hold the image folder ``mri``; the steps on a board need a target ``pi4``. Lines that name the work folder
are shortened. Without --write, only the changed output is shown.

Example: python tools/docs/tutorial_output.py --work /tmp/tutorial --only "train|export|bench" --write
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "index.md"
STEP = re.compile(r"```bash\n(?P<commands>(?:(?!```).)*)```\n\n```text\n(?P<output>(?:(?!```).)*)```\n", re.DOTALL)


def main() -> int:
    """Parse the arguments, run the steps; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder to run in")
    parser.add_argument("--only", default="", help="regular expression: run the steps whose commands match it")
    parser.add_argument("--train-options", default="", help="added to `edgekit train`, e.g. '--weights FILE'")
    parser.add_argument("--write", action="store_true", help="change the page")
    arguments = parser.parse_args()
    if not arguments.work.is_dir():
        sys.stderr.write(f"error: no such folder: {arguments.work}\n")
        return 2
    page = PAGE.read_text(encoding="utf-8")

    def renewed(step: re.Match[str]) -> str:
        commands = step["commands"]
        if not re.search(arguments.only, commands):
            return step.group()
        options = arguments.train_options
        run = re.sub(r"^edgekit train .*", lambda line: f"{line.group()} {options}", commands, flags=re.MULTILINE)
        return f"```bash\n{commands}```\n\n```text\n{output(run, arguments.work)}\n```\n"

    new = STEP.sub(renewed, page)
    sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), new.splitlines(True), "page", "now"))
    if arguments.write:
        PAGE.write_text(new, encoding="utf-8")
    return 0


def output(commands: str, work: Path) -> str:
    """What the commands print on stdout in a terminal of 80 columns, without the name of the work folder."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    sys.stderr.write(commands)
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        raise SystemExit(f"error: exit code {done.returncode}")
    return done.stdout.replace(f"{work.resolve()}/", "").strip()


if __name__ == "__main__":
    sys.exit(main())
