"""A check as JUnit XML, which CI systems show: a test suite for each file, and in it a test case for each check."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from edgekit.device.plain_text import visible
from edgekit.documents.regression import FAILED, PASSED, Check, CheckedFile, GateCheck
from edgekit.render.regression import change, check_name, figure, headline, limit
from edgekit.support.files import write_bytes


def write_junit(document: GateCheck, path: Path) -> None:
    """Write the XML file. A failed check is a failure, an undecided one or one that was not compared is skipped."""
    write_bytes(path, junit(document))


def junit(document: GateCheck) -> bytes:
    """The XML document."""
    root = ET.Element("testsuites", _counts(document.files, f"edgekit gate {document.name}"))
    for file in document.files:
        suite = ET.SubElement(root, "testsuite", _counts([file], file.id))
        suite.set("timestamp", document.created.removesuffix("+00:00"))
        for check in file.checks:
            case = ET.SubElement(suite, "testcase", name=check_name(check), classname=_text(file.id), time="0")
            if check.outcome == FAILED:
                ET.SubElement(case, "failure", message=_text(told(check)), type="regression").text = headline(document)
            elif check.outcome != PASSED:
                ET.SubElement(case, "skipped", message=_text(f"{check.outcome}: {told(check)}"))
            else:
                ET.SubElement(case, "system-out").text = _text(told(check))
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def told(check: Check) -> str:
    """Figures, limit and reason of one check in a line."""
    figures = ""
    if check.new is not None:
        against = "" if check.baseline is None else f"{figure(check, check.baseline)} to "
        figures = f"{against}{figure(check, check.new)}"
    changed = "" if check.change is None else change(check)
    allowed = f"limit {limit(check)}" if check.limit is not None else ""
    return "; ".join(filter(None, [" ".join(filter(None, [figures, changed])), allowed, check.reason]))


def _counts(files: list[CheckedFile] | tuple[CheckedFile, ...], name: str) -> dict[str, str]:
    outcomes = [check.outcome for file in files for check in file.checks]
    failures = outcomes.count(FAILED)
    skipped = len(outcomes) - failures - outcomes.count(PASSED)
    return {
        "name": _text(name),
        "tests": str(len(outcomes)),
        "failures": str(failures),
        "errors": "0",
        "skipped": str(skipped),
        "time": "0",
    }


def _text(text: str) -> str:
    """Without control characters, which XML does not allow."""
    return visible(text)
