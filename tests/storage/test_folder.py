"""A search's folder: whole files or none, one conductor, and what must be there."""

import fcntl
import json
import os

import pytest

from search.errors import UsageError
from search.storage.files import append, write_text
from search.storage.folder import Folder


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
            pytest.raises(
                UsageError,
                match=rf"one conductor per search, but got a second beside process {os.getpid()} on .*; wait",
            ),
            Folder(tmp_path / "s").locked(),
        ):
            pass
    assert not folder.alive()
    assert (folder.path / "lock").read_text() == ""


def test_a_lock_whose_holder_has_not_written_its_name_yet_is_still_a_lock(tmp_path):
    folder = Folder(tmp_path)
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="beside one that is just starting"), folder.locked():
            pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_text(path, "old")

    def fails(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new, and longer")
    assert path.read_text() == "old"


def test_lines_are_added_one_by_one(tmp_path):
    for number in range(3):
        append(tmp_path / "ledger", b"%d\n" % number)
    assert (tmp_path / "ledger").read_text().split() == ["0", "1", "2"]


def test_a_journal_without_its_config_is_refused(tmp_path):
    folder = Folder(tmp_path)
    folder.journal.write_text("")
    with pytest.raises(
        UsageError,
        match=r"a journal needs the config\.yaml it began with, but got none; restore it or use name=",
    ):
        folder.check_config(None)
