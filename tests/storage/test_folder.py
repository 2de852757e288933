"""A search's folder: whole files or none, one conductor, and what must be there."""

import fcntl
import json
import os
import re
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from kit import ROOT, TINY, search, trials
from omegaconf import OmegaConf
from refusals import check_told, raises

from search.config.version import __version__
from search.results.folders import find_folder
from search.storage.files import LineFile, append, write_text
from search.storage.folder import Folder
from search.storage.layers import LayerLog
from search.storage.logs import TrialLogs
from search.storage.run_log import RunLog
from search.storage.sealed import write_json


def test_a_lock_of_the_dead_is_taken_over_and_of_the_living_is_not(tmp_path):
    folder = Folder(tmp_path / "s")
    folder.path.mkdir()
    (folder.path / "lock").write_text(
        json.dumps({"pid": 1, "host": "h", "started": "once", "command": ""})
    )
    assert not folder.alive()
    with folder.locked():
        assert folder.alive()
        assert json.loads((folder.path / "lock").read_text())["pid"] == os.getpid()
        with (
            raises("search-has-conductor", str(tmp_path / "s"), f"process {os.getpid()} "),
            Folder(tmp_path / "s").locked(),
        ):
            pass
    assert not folder.alive()
    assert (folder.path / "lock").read_text() == ""


def test_a_lock_whose_holder_has_not_written_its_name_yet_is_still_a_lock(tmp_path):
    folder = Folder(tmp_path)
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with raises("search-has-conductor", str(tmp_path)), folder.locked():
            pass


def test_who_looks_whether_a_search_runs_keeps_no_conductor_out_however_long_the_look_takes(
    tmp_path, monkeypatch
):
    with (tmp_path / "lock").open("w") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)  # as `is_held`, which then gets no processor
        turns = count(1)

        def sleep(_):
            if next(turns) == 100:
                fcntl.flock(looked_at, fcntl.LOCK_UN)

        monkeypatch.setattr("search.storage.lock.time", SimpleNamespace(sleep=sleep))
        with Folder(tmp_path).locked():
            assert next(turns) == 101


def test_where_files_cannot_be_locked_no_search_begins_and_others_can_be_read(
    tmp_path, monkeypatch
):
    def flock(file, how):
        raise OSError(38, "Function not implemented")  # as Lustre says without its option flock

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = Folder(tmp_path)
    with raises("folder-takes-no-locks", str(tmp_path), "not implemented"), folder.locked():
        pass
    assert not folder.alive()


def test_a_search_of_a_group_may_be_gone_on_with_by_each_of_its_members(tmp_path):
    before = os.umask(0o002)
    try:
        folder = Folder(tmp_path / "s")
        folder.path.mkdir()
        with folder.locked():
            write_text(folder.path / "config.yaml", "a: 1")
            append(folder.path / "decisions.jsonl", b"{}\n")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.path.iterdir()}
    assert modes == {"lock": 0o664, "config.yaml": 0o664, "decisions.jsonl": 0o664}


def test_a_file_is_written_whole_or_not_at_all_and_named(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_text(path, "old")

    def fails(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(path, "new, and longer")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]  # a part of it would fill the disk
    assert caught.value.filename == str(path)


def test_what_begins_anew_keeps_the_users_files_and_the_ledger_alone(tmp_path):
    table = (ROOT / "results" / "README.md").read_text().partition("## ")[0]
    names = set()
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        names |= {name.partition("/")[0] for name in re.findall(r"`([^`]+)`", row)}
    assert len(names) > 30
    for name in names:
        (tmp_path / name).touch()
    Folder(tmp_path).clear()
    assert {path.name for path in tmp_path.iterdir()} == {"files", "lock", "test_ledger.jsonl"}


def test_a_search_is_found_by_its_name_before_a_folder_that_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("mine", "results/mine", "elsewhere"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.yaml").touch()
    for name, place in (
        ("mine", "results/mine"),
        ("elsewhere", "elsewhere"),
        ("results/mine", "results/mine"),
        ("nothing", "results/nothing"),
        (str(tmp_path / "elsewhere"), "elsewhere"),
    ):
        assert find_folder(name, root=Path("results")).path.resolve() == tmp_path / place


def test_lines_are_added_one_by_one(tmp_path):
    for number in range(3):
        append(tmp_path / "ledger", b"%d\n" % number)
    assert (tmp_path / "ledger").read_text().split() == ["0", "1", "2"]


def test_a_journal_without_its_config_is_refused(tmp_path):
    folder = Folder(tmp_path)
    folder.journal.write_text("")
    with raises("journal-without-config", str(tmp_path), "config.yaml"):
        folder.check_config(None)


def test_no_link_in_a_search_folder_leads_what_is_added_or_cut_to_another_file(tmp_path):
    other, logs = tmp_path / "precious", tmp_path / "logs"
    other.write_text("no whole line")
    logs.mkdir()
    for name in ("journal.log", "0.jsonl", "logs/worker-0.log", "logs/0.log"):
        (tmp_path / name).symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        LineFile(tmp_path / "journal.log", size=0)
    layers = LayerLog(tmp_path)
    layers.add(0, {"epoch": 1})
    assert "symbolic links" in layers.flush()
    trial_logs = TrialLogs(logs, limit=4)
    trial_logs.append("worker-0.log", b"said")
    trial_logs.trim(0)
    assert other.read_text() == "no whole line"
    assert (logs / "worker-0.log").read_bytes() == b"said"


@pytest.mark.slow
def test_a_resumption_follows_no_link_in_place_of_a_log_or_the_journal(tmp_path):
    """A renamed folder is told what brings it back, too."""
    words = [*TINY, "trainer.epochs=2", "seeds=1", "name=one"]
    folder, other = tmp_path / "results" / "one", tmp_path / "precious"
    assert search(*words, cwd=tmp_path).returncode == 0
    ended = len(trials(folder))
    other.write_text("precious")
    for name in ("worker-0.log", "worker-1.log", f"{ended}.log"):
        (folder / "logs" / name).unlink(missing_ok=True)
        (folder / "logs" / name).symlink_to(other)
    done = search(*words, "seeds=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(trials(folder)) > ended
    assert other.read_text() == "precious"

    folder.rename(folder.with_name("moved"))
    moved = search(*words, "seeds=2", "name=moved", cwd=tmp_path)
    assert moved.returncode == 2
    check_told(moved.stderr, "config-of-another-search", "name: one there, moved now")
    folder.with_name("moved").rename(folder)
    journal = folder / "journal.log"
    journal.rename(other)
    journal.symlink_to(other)
    before = other.read_bytes()
    refused = search(*words, "seeds=3", cwd=tmp_path)
    assert refused.returncode == 2
    check_told(refused.stderr, "disk-refuses", "journal.log: Too many levels of symbolic links")
    assert other.read_bytes() == before


def test_an_address_of_a_database_that_does_not_resolve_is_refused(tmp_path):
    config = OmegaConf.create({"storage": {"url": "${oc.env:NO_SUCH_ADDRESS}"}})
    with raises("storage-url-does-not-resolve", "storage.url", "'NO_SUCH_ADDRESS'"):
        Folder(tmp_path / "one").check_storage(config, name="one")
    assert list(tmp_path.iterdir()) == []


def _line_file(path):
    file = LineFile(path, size=0)
    file.add(b"one\n")
    file.sync()
    return file


@pytest.mark.parametrize("taken", [Path.unlink, lambda path: path.rename(path.with_name("away"))])
def test_a_file_that_is_removed_while_lines_are_added_is_written_again_whole(tmp_path, taken):
    path = tmp_path / "journal.log"
    file = _line_file(path)
    assert file.put_back() == ""
    taken(path)
    file.add(b"two\n")
    assert path.name in file.put_back()
    file.add(b"three\n")
    assert file.put_back() == ""
    file.close()
    assert path.read_text() == "one\ntwo\nthree\n"


def test_a_file_that_is_replaced_while_lines_are_added_is_left_and_the_lines_are_kept(tmp_path):
    path = tmp_path / "journal.log"
    file = _line_file(path)
    path.unlink()
    path.write_text("another's\n")
    with raises("file-was-replaced", str(path), "journal.log.kept"):
        file.put_back()
    assert path.read_text() == "another's\n"
    assert path.with_name("journal.log.kept").read_text() == "one\n"


@pytest.mark.parametrize(
    ("version", "is_newer"),
    [("99.0.0", True), ("0.99.1.dev3", True), (f"{__version__}.post1", False), ("0.0.1", False)],
)
def test_a_folder_that_a_newer_version_went_on_with_is_named_before_it_is_called_damaged(
    version, is_newer, tmp_path
):
    folder = Folder(tmp_path / "s")
    folder.path.mkdir()
    folder.config.write_text("# crc 1: of another kind\nmetric: {name: new}\n")  # damaged, to us
    runs = [{"seconds": 1.0}, {"seconds": 1.0, "version": version}, {"seconds": 1.0}]
    write_json(folder.path / "runs.json", {"runs": runs})
    expected = ("folder-of-newer-version", version, __version__)
    with raises(*(expected if is_newer else ("file-was-changed", "config.yaml"))):
        folder.load_config()


def test_another_torch_than_that_of_the_last_run_is_named_and_none_of_an_older_record(tmp_path):
    log = RunLog(tmp_path / "runs.json")
    with log.recorded(command="", ran=0.0):
        pass
    assert log.other_torch() == ""
    (run,) = json.loads((tmp_path / "runs.json").read_text())["runs"]
    write_json(tmp_path / "runs.json", {"runs": [run, {**run, "torch": "1.0.0-other"}]})
    assert "1.0.0-other" in log.other_torch()
    assert run["torch"] in log.other_torch()
    write_json(tmp_path / "runs.json", {"runs": [{"seconds": 1.0}]})  # of an earlier version
    assert log.other_torch() == ""


def test_every_verb_refuses_the_folder_of_a_newer_version_and_touches_nothing(tmp_path):
    done = search(*TINY, "name=new", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results" / "new"
    (run,) = json.loads((folder / "runs.json").read_text())["runs"]
    assert run["version"] == __version__
    write_json(folder / "runs.json", {"runs": [{**run, "version": "99.0.0"}]})
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in (
        [*TINY, "name=new"],
        ["table", "new"],
        ["test", "new"],
        [*TINY, "from=new", "name=next"],
    ):
        refused = search(*words, cwd=tmp_path)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        check_told(refused.stderr, "folder-of-newer-version", "99.0.0", __version__)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "results" / "next").exists()
