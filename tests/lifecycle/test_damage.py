"""Damaged files of a search: one line with file, place and remedy, and never another result."""

import os
import re
import shutil
from functools import cache
from itertools import product
from random import Random

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import INLINE, search, steady, trials
from refusals import check_told, raises

from search.__main__ import main
from search.errors import SearchError
from search.results.diagnosis import diagnosed
from search.results.findings import open_results
from search.results.summary import conclusion
from search.results.tables import curves_so_far, trials_frame
from search.storage.folder import Folder
from search.storage.sealed import read_csv, read_json, read_text, seal_text, write_csv, write_json

FILES = ("config.yaml", "contract.yaml", "journal.log", "curves.parquet")


def _read(root):
    """What every reading verb begins with."""
    folder, findings = open_results("smoke", root=root / "results")
    return trials_frame(findings), curves_so_far(findings, folder)


_undamaged = cache(_read)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_named_or_changes_nothing(smoke_once, tmp_path, name, at, bit):
    source = smoke_once / "results" / "smoke"
    there = tmp_path / "results" / "smoke"
    there.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        (there / file).write_bytes((source / file).read_bytes())
    data = bytearray((source / name).read_bytes())
    place = int(at * len(data))
    data[place] ^= 1 << bit
    (there / name).write_bytes(data)
    trials, curves = _undamaged(smoke_once)
    message = ""
    try:
        damaged_trials, damaged_curves = _read(tmp_path)
    except SearchError as error:
        message = str(error)
    if message:
        assert len(message.splitlines()) == 1
        assert name in message
        assert "; " in message
        return
    if name == "journal.log" and place == len(data) - 1:
        return  # the last line counts as torn by a kill: its trial is queued again
    pd.testing.assert_frame_equal(damaged_trials, trials)
    pd.testing.assert_frame_equal(damaged_curves, curves)


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_search_whose_journal_was_deleted_is_not_begun_anew_over_its_tables(change, smoke):
    folder = Folder(smoke / "results" / "smoke")
    config = folder.load_config()
    change(folder.journal)
    with raises("file-was-changed", "journal.log", "4 trials", "trials.csv"):
        folder.check_config(config)


@pytest.mark.slow
def test_a_search_that_begins_anew_is_refused_as_a_fresh_one_is(smoke, monkeypatch, capsys):
    monkeypatch.chdir(smoke)
    for name in ("journal.log", "trials.csv"):
        (smoke / "results" / "smoke" / name).unlink()
    assert main(["smoke", *INLINE, "metric=mse"]) == 2
    told = capsys.readouterr()
    assert "the config has changed (chosen.metric" in told.out
    check_told(told.err, "metric-does-not-fit-task", "metric=accuracy")


@pytest.mark.slow
def test_the_config_of_another_search_under_the_same_contract_is_named(smoke, capsys):
    config = smoke / "results" / "smoke" / "config.yaml"
    mark, _, text = read_text(config).partition("\n")[2].partition("\n")
    assert mark.startswith("# begun ")
    config.write_text(seal_text(f"# begun 0123abcd\n{text.replace('seeds: 3', 'seeds: 4')}"))
    assert main(["table", "smoke"]) == 2
    check_told(capsys.readouterr().err, "file-was-changed", "config.yaml", "contract.yaml")


@pytest.mark.slow
def test_deleted_curves_are_noticed_and_there_curves_are_not(smoke, capsys):
    folder, findings = open_results("smoke", root=smoke / "results")

    def told():
        curves = curves_so_far(findings, folder)
        return "\n".join(conclusion(diagnosed(findings, curves, folder=folder)))

    assert "holds no curves" not in told()
    folder.curves.unlink()
    assert (
        "curves.parquet holds no curves of 4 trials that trained (0, 1, 2, 3): without them there "
        "is no verdict; restore the file from a copy"
    ) in told()
    for words in (["smoke"], ["smoke", "0"]):
        assert main(["doctor", *words]) == 2
        check_told(capsys.readouterr().err, "curves-were-deleted", "curves.parquet", "0, 1, 2, 3")


@pytest.mark.slow
def test_a_place_that_may_not_be_written_and_a_clock_set_back_are_told_in_a_line(
    smoke, capsys, monkeypatch
):
    assert main(["report", "smoke", "--to", "/sys/page.html"]) == 2
    told = capsys.readouterr().err
    check_told(told, "disk-refuses", "/sys/")
    assert told.count("\n") == 1
    before = (smoke / "results" / "smoke" / "report.html").stat().st_mtime_ns
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert main(["table", "smoke"]) == 0
    assert (smoke / "results" / "smoke" / "report.html").stat().st_mtime_ns == before
    monkeypatch.setattr("time.time", lambda: 0.0)
    capsys.readouterr()
    assert main(["status", "smoke"]) == 0
    assert " ago" not in capsys.readouterr().out


@pytest.mark.slow
def test_status_goes_on_with_the_other_searches(smoke):
    shutil.copytree(smoke / "results" / "smoke", smoke / "results" / "renamed")
    for number, name in enumerate(FILES[:3]):
        other = smoke / "results" / f"other-{number}"
        shutil.copytree(smoke / "results" / "smoke", other)
        (other / name).write_bytes(b"\x00\xff{")
    done = search("status", cwd=smoke)
    assert done.returncode == 1
    assert "smoke: done, 4 of 4 trials finished" in done.stdout
    assert "renamed (begun as smoke): done, 4 of 4 trials" in done.stdout
    for number, name in enumerate(FILES[:3]):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"other-{number}")]
        assert name in line
        assert "; " in line


def _flipped(content, _):
    place = len(content) * 5 // 8
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGES = {
    "emptied": lambda content, other: b"",
    "halved": lambda content, other: content[: len(content) // 2],
    "without its last byte": lambda content, other: content[:-1],
    "one bit": _flipped,
    "zeros": lambda content, other: bytes(len(content)),
    "another file": lambda content, other: other,
    "other JSON": lambda content, other: b"{}\n",
    "no text": lambda content, other: b"\x00\xff{",
    "deleted": None,
    "a folder": None,
}
VERBS = ("table", "doctor", "status", "export", "test")
DRAWN = 25  # of all cases; KNOBWISE_EVERY_DAMAGE=1 tries every one
PLACE = r"\w\.(json|jsonl|log|npz|npy|parquet|yaml|csv|safetensors|svg|html|md)|stamp|lock"
NUMBER = re.compile(r"\d+\.\d{3,}")


def _kinds(folder):
    """A file of each kind: names that differ in numbers alone are one kind."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted({re.sub(r"\d+", "N", str(file)): file for file in reversed(files)}.values())


def _damage(path, damage, other):
    if DAMAGES[damage] is not None:
        path.write_bytes(DAMAGES[damage](path.read_bytes() or b"x", other))
        return
    path.unlink()
    if damage == "a folder":
        path.mkdir()


@pytest.mark.slow
def test_whatever_file_is_damaged_a_verb_names_it_or_tells_the_same_numbers(
    smoke_once, tmp_path, capsys, monkeypatch
):
    source, results = smoke_once / "results", tmp_path / "results"
    files = _kinds(source)
    contents = [(source / file).read_bytes() for file in files]
    every = list(product(range(len(files)), DAMAGES, VERBS))
    cases = every if os.environ.get("KNOBWISE_EVERY_DAMAGE") else Random(1).sample(every, DRAWN)
    sound = {}
    for number, damage, verb in [(-1, "", verb) for verb in VERBS] + cases:
        shutil.rmtree(results, ignore_errors=True)
        shutil.copytree(source, results)
        monkeypatch.chdir(tmp_path)
        if damage:
            _damage(results / files[number], damage, contents[number - 1])
        code = main([verb, "smoke"])
        told = capsys.readouterr()
        numbers, where = NUMBER.findall(told.out), f"{verb}, {files[number]} {damage}: {told.err}"
        if not damage:
            assert code == 0, where
            sound[verb] = numbers
        elif code == 0:
            assert numbers == sound[verb] or files[number].name in told.out + told.err, where
        else:
            assert code == 2 or (verb, code) == ("status", 1), where
            text = told.err if code == 2 else told.out
            assert len(text.strip().splitlines()) == 1, where
            assert re.search(PLACE, text), where
            assert ";" in text, where


@pytest.mark.slow
def test_a_folder_in_place_of_a_table_is_named(smoke, capsys):
    table = smoke / "results" / "smoke" / "trials.csv"
    table.unlink()
    table.mkdir()
    assert main(["table", "smoke"]) == 2
    check_told(capsys.readouterr().err, "not-a-file", "results/smoke/trials.csv")
    assert list(table.iterdir()) == []


@pytest.mark.slow
def test_what_belongs_to_other_trainings_or_is_cut_off_is_named_and_opens_no_test_set(
    smoke, capsys
):
    folder = Folder(smoke / "results" / "smoke")

    def refused(path, content, words, code):
        sound = path.read_bytes()
        path.write_bytes(content(sound))
        assert main(words) == 2, path
        error = capsys.readouterr().err
        path.write_bytes(sound)
        assert len(error.splitlines()) == 1, error
        check_told(error, code, path.name)
        return error

    curves = pd.read_parquet(folder.curves)
    other = curves.assign(accuracy=1 - curves.accuracy).to_parquet(None)
    error = refused(folder.curves, lambda _: other, ["table", "smoke"], "file-was-changed")
    assert "trial 0: accuracy 0." in error

    def half(content):
        lines = content.splitlines(keepends=True)
        return b"".join(lines[: len(lines) // 2])

    error = refused(folder.journal, half, ["table", "smoke"], "trials-were-lost")
    assert "trials.csv" in error
    for path, length, code in (
        (folder.contract, folder.contract.stat().st_size // 2, "file-was-changed"),
        (folder.split, 100, "split-was-changed"),
    ):
        refused(path, lambda content, length=length: content[:length], ["test", "smoke"], code)
    weights = folder.best / "weights.safetensors"
    code = "export-was-changed"
    for path, words in ((folder.best_config, b"lr: "), (weights, b"\x00"), (weights, b"F32")):
        refused(
            path,
            lambda content, words=words: content.replace(words, b"lr: 1", 1),
            ["test", "smoke"],
            code,
        )
    sound = folder.best_config.read_text()
    folder.best_config.write_text(sound.replace("trainers.stock.predict", "nowhere.mine"))
    assert main(["test", "smoke"]) == 2
    error = capsys.readouterr().err
    check_told(error, "predict-not-importable", "trainer.predict", "'nowhere.mine'")
    folder.best_config.write_text(sound)
    note = folder.best / "provenance.json"
    checked = read_json(note, keys=["config"])
    write_json(note, {key: checked[key] for key in checked if key != "config"})  # as once written
    for path in (folder.best_config, folder.best / "config.yaml"):
        path.write_text(re.sub("(?m)^expected: .*", "expected: null", path.read_text()))
    assert main(["test", "smoke"]) == 2
    check_told(capsys.readouterr().err, "export-was-changed", "best.yaml")
    for path in (folder.best_config, folder.best / "config.yaml"):
        path.write_text(sound)
    assert not list(smoke.glob("results/test_ledger*"))
    assert main(["test", "smoke"]) == 0


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.text(), st.integers(), st.floats(0, 1)),
        min_size=1,
        max_size=4,
    ),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 7),
)
def test_a_table_that_is_read_back_is_the_one_that_was_written(tmp_path, rows, at, bit):
    path = tmp_path / "groups.csv"
    frame = pd.DataFrame(rows, columns=["group", "rows", "accuracy"])
    write_csv(path, frame)
    read = read_csv(path)
    assert read["accuracy"].tolist() == pytest.approx(frame["accuracy"].tolist())
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1 << bit
    path.write_bytes(data)
    with raises("file-was-changed", "groups.csv"):
        read_csv(path)


@pytest.mark.slow
@pytest.mark.parametrize("lines", [0, 9])
def test_trials_that_the_journal_has_lost_are_told_alike_by_every_verb_and_trained_anew(
    lines, smoke, capsys
):
    folder = Folder(smoke / "results" / "smoke")
    whole = trials(folder.path)
    content = b"".join(folder.journal.read_bytes().splitlines(keepends=True)[: -lines or None])
    folder.journal.write_bytes(content[:-20])
    for verb in ("table", "status", "report", "doctor", "export", "test"):
        assert main([verb, "smoke"]) == 2
        check_told(capsys.readouterr().err, "trials-were-lost", "journal.log", "command again")
    words = ["smoke", *INLINE, "lanes=off"]
    done = search(*words, cwd=smoke)
    assert done.returncode == 0, done.stderr
    assert "cut off a torn last line of" in done.stdout
    assert re.search(r"lacks the end of \d trials? that trials.csv lists", done.stdout)
    assert steady(trials(folder.path)).equals(steady(whole))
    again = search(*words, cwd=smoke)
    assert "lacks the end of" not in again.stdout


@pytest.mark.slow
def test_what_is_gone_is_named_as_gone_and_not_as_never_begun(smoke, capsys):
    folder = Folder(smoke / "results" / "smoke")
    for path, message in (
        (folder.config, ("journal-without-config", "results/smoke", "config.yaml")),
        (folder.journal, ("file-was-changed", "journal.log", "4 trials", "trials.csv")),
    ):
        content = path.read_bytes()
        path.unlink()
        for verb in ("table", "status"):
            assert main([verb, "smoke"]) == 2
            check_told(capsys.readouterr().err, *message)
        path.write_bytes(content)
        path.unlink()
        path.mkdir()
        assert main(["table", "smoke"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        path.rmdir()
        path.write_bytes(content)
    folder.journal.rename(folder.path / "away")
    assert main(["status"]) == 1
    assert "smoke: cannot be read: " in capsys.readouterr().out
    (folder.path / "away").rename(folder.journal)
    best = folder.best / "provenance.json"
    note = read_json(best)
    write_json(best, {**note, "trial": note["trial"] + 1})
    assert main(["test", "smoke"]) == 2
    check_told(capsys.readouterr().err, "export-of-another-trial", "best")
    assert not list(smoke.glob("results/test_ledger*"))


@pytest.mark.parametrize(
    "names",
    [
        ["lock"],
        ["report.html.new", "best.yaml.new", "sweep.svg.new", "best/weights.safetensors.new"],
    ],
)
def test_a_link_in_a_folder_from_elsewhere_leads_no_verb_to_another_file(
    names, smoke, tmp_path, capsys
):
    other = tmp_path / "precious"
    other.write_text("precious")
    folder = smoke / "results" / "smoke"
    for name in names:
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(other)
    (folder / "sweep.svg").unlink()  # so that it is drawn again
    for verb in ("table", "status", "report", "doctor", "export", "test"):
        code = main([verb, "smoke"])
        assert other.read_text() == "precious", verb
        assert names == ["lock"] or code == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert ("lock: Too many levels of symbolic links" in said) == (names == ["lock"])
