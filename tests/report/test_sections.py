"""The table of sections, and Markdown and HTML that it gives."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from edgekit.render.markdown import bullets, escaped, table
from edgekit.report.build import build_report
from edgekit.report.sections.table import SECTIONS

TEMPLATES = {path.name for path in resources.files("edgekit.report.sections").iterdir() if path.name.endswith(".jinja")}
SHARED = {"confusion.html.jinja", "gradcam.html.jinja"}
"""Templates that sections include."""


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.anchor)
def test_a_section_has_a_template_and_a_module(section):
    assert section.template in TEMPLATES
    module = f"{section.anchor.replace('-', '_')}.py"
    assert resources.files("edgekit.report.sections").joinpath(module).is_file()


def test_anchors_are_unique_and_no_template_is_left_over():
    anchors = [section.anchor for section in SECTIONS]
    assert len(set(anchors)) == len(anchors)
    assert {section.template for section in SECTIONS} == TEMPLATES - SHARED


def test_every_section_with_a_view_is_on_the_page_and_in_its_contents(study: Path):
    build_report(study)
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    shown = [section for section in SECTIONS if f'<section id="{section.anchor}">' in page]
    assert len(shown) > 10
    for section in shown:
        assert f"<h2>{section.title}</h2>" in page
        assert (f'<a href="#{section.anchor}">{section.title}</a>' in page) == (section.anchor != "verdict")
    text = (study / "report" / "report.md").read_text(encoding="utf-8")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings == [section.title for section in shown if section.markdown is not None]


def test_markdown_takes_nothing_from_data_for_markup():
    assert escaped("a | b\n<i>*c*</i> [x](y)") == r"a \| b \<i\>\*c\*\</i\> \[x\](y)"
    assert escaped("# heading") == r"\# heading"
    assert escaped("- item") == r"\- item"
    assert escaped("#3 is not a heading, -1.2 is no list") == "#3 is not a heading, -1.2 is no list"
    assert table(["a", "b"], [["1", "x|y"]]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"
    assert bullets(["a", "b"]) == "- a\n- b"
