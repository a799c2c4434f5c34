"""The example workflow for GitHub Actions follows GitHub's schema, and its commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml
from docgen import cli_page
from markdown_files import ROOT

WORKFLOW = ROOT / "docs" / "examples" / "regression-gate.yml"


def steps() -> list[dict[str, str]]:
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["gate"]["steps"]


@pytest.mark.skipif(find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed")
def test_the_workflow_follows_the_schema_of_github() -> None:
    """The schema is part of the package check-jsonschema: nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_commands_of_the_workflow_exist() -> None:
    verbs = dict(cli_page.verbs())
    commands = [step["run"] for step in steps() if step.get("run", "").startswith("edgekit ")]
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command)
        verb = next(" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in verbs)
        known = {option for parameter in verbs[verb].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, command


def test_nothing_that_a_pull_request_chooses_gets_into_a_shell() -> None:
    """Expressions in a script are replaced before the shell reads it, so they belong into the environment."""
    assert not [step for step in steps() if re.search(r"\$\{\{", step.get("run", ""))]
