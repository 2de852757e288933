"""Foreign text in every medium: it shows itself, and does nothing."""

import csv
import io
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from search.config.text import for_csv, for_markdown, for_terminal, for_xml, one_line

HOSTILE = [
    "\x1b[2J\x1b[31mred",
    "a\rb",
    "a\nb|c",
    "<script>alert(1)</script>",
    "](http://x) ![i](http://x)",
    "\u202eevil",
    "=1+1",
    "@SUM(A1)",
    "\ud800",
    "a\x00b",
    "`*[",
    "\u2028\x85",
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text())


@given(texts)
def test_one_line_is_one_line_without_control_characters(text):
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)


@given(texts)
def test_a_terminal_sees_line_breaks_and_no_other_control_character(text):
    shown = for_terminal(text)
    assert shown.count("\n") == text.count("\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


@given(texts)
def test_an_xml_reader_reads_the_line_back_as_content_and_attribute(text):
    root = ElementTree.fromstring(f'<text title="{for_xml(text)}">{for_xml(text)}</text>')
    assert (root.text or "") == root.attrib["title"] == one_line(text)


@given(texts)
def test_a_markdown_cell_stays_one_cell_of_plain_text(text):
    source = f"| a | b |\n|---|---|\n| x{for_markdown(text)}x | y |\n"
    page = MarkdownIt("commonmark").enable("table").render(source)
    assert page.count("<td>") == 2
    assert not re.search(r"<(a|img|script|em|strong|code)\b", page)


@given(texts)
def test_a_csv_cell_is_never_a_formula_and_always_one_row(text):
    file = io.StringIO()
    csv.writer(file).writerow([for_csv(text), "y"])
    ((cell, _),) = csv.reader(io.StringIO(file.getvalue()))
    assert cell == for_csv(text)
    assert not cell.startswith(("=", "@"))


@pytest.mark.parametrize("number", ["-1", "+0.5", "-1e-3", "-inf"])
def test_a_number_with_a_sign_stays_a_number_in_csv(number):
    assert for_csv(number) == number


def test_plain_text_of_any_language_stays_as_it_is():
    for text in ("lr=0.1 × 3", "größer", "日本語", "a\u00a0b"):
        assert one_line(text) == for_terminal(text) == for_markdown(text) == for_csv(text) == text
