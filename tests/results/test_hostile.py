"""Hostile text in choices, columns and errors: every output shows it, none obeys it."""

import csv
import json
import re
from xml.etree import ElementTree

import pytest
from kit import search

from search import load

SPACE = r"""
model:
  word:
    choices: ["plain", "=1+1", "a|b", "\e[31mred", "<b>x</b>&", "x\ny", "![i](http://x)", "@SUM(A1)", "\u202eevil"]
    group: capacity
    why: test
"""  # fmt: skip
EXPERIMENT = """# @package _global_
# python -m search hostile
# Hostile words everywhere.
defaults:
  - override /data: digits
  - override /trainer: own
  - override /space: hostile
  - override /protocol: sweep
model: {_target_: null, word: plain}
trainer: {_target_: mine.train, epochs: 3}
seeds: 2
preflight: {mode: "off"}
"""
TRAINER = r'''
def train(config, data, device, checkpoint):
    word = config["model"]["word"]
    for epoch in (1, 2, 3):
        if word == "x\ny" and epoch == 2:
            raise RuntimeError("boom \x1b[2J <script>|=1+1\r\nsecond")
        loss = 1 / epoch
        yield {"train_loss": loss, "val_loss": loss, "accuracy": 0.5 + len(word) / 1000, "own\x1b[31m|<b>": 1.0, "=cmd": 2.0}
'''  # fmt: skip
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A search full of hostile text: its folder and what it printed."""
    place = tmp_path_factory.mktemp("hostile")
    for folder in ("space", "experiment"):
        (place / "conf" / folder).mkdir(parents=True)
    (place / "conf" / "space" / "hostile.yaml").write_text(f"# words\n{SPACE}")
    (place / "conf" / "experiment" / "hostile.yaml").write_text(EXPERIMENT)
    (place / "mine.py").write_text(TRAINER)
    done = search("hostile", "--config-dir", "conf", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    texts = [done.stdout, done.stderr]
    for verb in ("table", "status", "doctor"):
        shown = search(verb, "hostile", cwd=place)
        texts += [shown.stdout, shown.stderr]
    return place / "results" / "hostile", "".join(texts)


@pytest.mark.slow
def test_the_terminal_gets_no_control_character_and_no_markup_is_obeyed(hostile):
    _, shown = hostile
    assert not CONTROL.search(shown)
    assert not any("\n" in line for line in load(str(hostile[0])).conclusion)
    for word in (r"\x1b[31mred", "![i](http://x)", r"\u202eevil", "<b>x</b>&"):
        assert word in shown


@pytest.mark.slow
def test_no_cell_of_a_csv_file_is_a_formula_and_no_row_is_broken(hostile):
    folder, _ = hostile
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1, path
        cells = [cell for row in rows for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "@"))], path
        assert not [cell for cell in cells if CONTROL.search(cell)], path


@pytest.mark.slow
def test_pictures_and_pages_stay_well_formed_and_carry_no_foreign_element(hostile):
    folder, _ = hostile
    for path in folder.glob("*.svg"):
        ElementTree.parse(path)
        assert not CONTROL.search(path.read_text()), path
    page = re.sub(r"<script.*?</script>", "", (folder / "report.html").read_text(), flags=re.S)
    assert not CONTROL.search(page)
    assert "<b>x</b>&" not in page
    assert "<script>|" not in page
    summary = (folder / "summary.md").read_text()
    assert not CONTROL.search(summary)
    assert "![i](http" not in summary
    assert "<b>" not in summary.replace(r"\<b\>", "")


@pytest.mark.slow
def test_files_for_programs_keep_the_text_as_it_is(hostile):
    folder, _ = hostile
    lines = (folder / "decisions.jsonl").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert any("x\ny" in str(list(json.loads(line).values())) or "x\\ny" in line for line in lines)
