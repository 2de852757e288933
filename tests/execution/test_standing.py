"""A search whose files somebody removes, moves or replaces while it runs: it says so at once, and loses no row."""

import errno
import shutil
from pathlib import Path

import pytest
from kit import TINY, running, search, steady, trials, wait_for
from refusals import check_told, raises

from search.contract.fingerprint import file_hash
from search.execution.machine_fault import machine_fault
from search.storage.code_record import CodeRecord
from search.storage.curves import CurveLog
from search.storage.folder import Folder
from search.storage.standing import Standing, watched_files
from search.storage.trials import TrialRecord, TrialSpec, TrialState

PAUSE = {"TOY_PAUSE": "0.08"}
WORDS = [*TINY, "trainer.epochs=8", "protocol.most_seeds=1"]

pytestmark = pytest.mark.slow


def _folder(cwd):
    return cwd / "results" / "own_trainer"


def _started(cwd, *, lines=5):
    log = _folder(cwd) / "curves.jsonl"
    return log.exists() and len(log.read_bytes().splitlines()) >= lines


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("calm")
    search(*WORDS, cwd=cwd, TOY_PAUSE="0")
    return steady(trials(_folder(cwd)))


def _after(change, cwd):
    """How a search ends after a change of its folder: its exit code, and what it printed."""
    with running(*WORDS, cwd=cwd, **PAUSE) as conductor:
        wait_for(lambda: _started(cwd), what="five epochs")
        change(_folder(cwd))
        output, _ = conductor.communicate(timeout=60)
    return conductor.returncode, output


def test_logs_that_are_removed_are_written_again_and_no_row_or_curve_is_lost(calm, tmp_path):
    names = ("journal.log", "curves.jsonl")
    code, output = _after(lambda folder: [(folder / name).unlink() for name in names], tmp_path)
    assert code == 0, output
    for name in names:
        assert f"{name} was removed while the search runs" in output
    assert search("table", "own_trainer", cwd=tmp_path).returncode == 0
    assert "holds no curves" not in output
    again = search(*WORDS, cwd=tmp_path, TOY_PAUSE="0")
    assert again.returncode == 0
    steady_now = steady(trials(_folder(tmp_path)))
    assert steady_now.equals(calm)


def test_folders_of_trials_that_are_removed_cost_no_row(calm, tmp_path):
    def remove(folder):
        for name in ("checkpoints", "logs"):
            wait_for((folder / name).exists, what=name)
            (folder / name).rename(folder / "aside")
            shutil.rmtree(folder / "aside")

    code, output = _after(remove, tmp_path)
    assert code == 0, output
    assert steady(trials(_folder(tmp_path))).equals(calm)


@pytest.fixture
def standing(tmp_path):
    folder = Folder(tmp_path)
    with folder.lock.held():
        curves = CurveLog(folder.curve_log, unfinished=())
        yield folder, Standing(folder, curves)
        curves.close()


@pytest.mark.parametrize(("name", "lost"), [("checkpoints", "weights"), ("logs", "printed")])
def test_a_folder_of_trials_that_was_removed_is_named_once_also_where_another_stands(
    name, lost, standing
):
    folder, look = standing[0].path, standing[1].look
    assert look(now=True) == []
    (folder / name).mkdir()
    assert look(now=True) == []
    (folder / name).rmdir()
    (told,) = look(now=True)
    assert told.startswith(f"{name}/ was removed")
    assert lost in told
    assert look(now=True) == []
    (folder / name).mkdir()
    assert look(now=True) == []
    (folder / name).rename(folder / "aside")
    (folder / name).mkdir()
    assert look(now=True) == [told]
    assert look(now=True) == []


def test_data_that_change_meanwhile_end_the_search_and_no_trial_of_them_counts(calm, tmp_path):
    data, words = tmp_path / "rows.csv", [*WORDS, "data.files=[rows.csv]"]
    data.write_text("1,2\n")
    with running(*words, cwd=tmp_path, **PAUSE) as conductor:
        wait_for(lambda: _started(tmp_path, lines=12), what="twelve epochs")
        data.write_text("1,3\n")
        output, _ = conductor.communicate(timeout=60)
    assert conductor.returncode == 1, output
    check_told(output, "data-changed-meanwhile", "rows.csv")
    refused = search(*words, cwd=tmp_path)
    check_told(refused.stderr, "contract-differs", "rows.csv")
    data.write_text("1,2\n")
    again = search(*words, cwd=tmp_path, TOY_PAUSE="0")
    assert again.returncode == 0, again.stderr
    assert CodeRecord(_folder(tmp_path)).spoiled() == []
    assert steady(trials(_folder(tmp_path))).equals(calm)


@pytest.mark.parametrize("watched", ["rows.csv", "pictures", "labels.npy"])
def test_data_that_are_written_again_alike_end_nothing_and_others_name_the_unfinished_trials(
    tmp_path, monkeypatch, watched
):
    monkeypatch.chdir(tmp_path)
    folder = Folder(tmp_path / "search")
    file = Path("pictures/cats/1.png" if watched == "pictures" else watched)
    file.parent.mkdir(parents=True, exist_ok=True)
    folder.path.mkdir()
    file.write_text("1,2\n")
    record = CodeRecord(folder.path)
    record.begin({})
    if watched == "labels.npy":
        data = watched_files({"labels": "..."}, labels=watched)
    else:
        data = watched_files({"files": {watched: file_hash(Path(watched))}}, labels=None)
    with folder.lock.held():
        curves = CurveLog(folder.curve_log, unfinished=())
        check = Standing(folder, curves, data=data).check_data
        spec = TrialSpec(trial=3, stage="sweep", knobs={}, seed=0)
        row = TrialRecord(spec=spec, state=TrialState.RUNNING)
        file.unlink()
        file.write_text("1,2\n")
        check([row])
        assert record.spoiled() == []
        for change in (lambda: file.write_text("1,3\n"), file.unlink):
            change()
            with raises("data-changed-meanwhile", watched, "1 unfinished"):
                check([row])
            assert record.spoiled() == [3]
        curves.close()


def test_a_file_in_place_of_a_folder_of_trials_ends_the_search_and_is_no_trials_fault(standing):
    folder, look = standing[0], standing[1].look
    folder.checkpoints.write_text("")
    with raises("folder-was-replaced", str(folder.checkpoints)):
        look(now=True)
    for number in (errno.ENOTDIR, errno.EACCES):
        ours = OSError(number, "refused", str(folder.checkpoints / "3"))
        assert str(folder.checkpoints / "3") in machine_fault(ours, folder=folder.path)
        users = OSError(number, "refused", str(folder.path / "files" / "3"))
        assert machine_fault(users, folder=folder.path) == ""


def _remove(folder):
    while folder.exists():  # workers write into it meanwhile
        shutil.rmtree(folder, ignore_errors=True)


def _replace(folder):
    journal = folder / "journal.log"
    data = journal.read_bytes()
    journal.unlink()
    journal.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_replace, "file-was-replaced"),
        (lambda folder: (folder / "lock").unlink(), "search-lock-was-removed"),
        (_remove, "search-folder-was-removed"),
    ],
)
def test_what_cannot_be_put_back_ends_the_search_within_seconds(change, code, tmp_path):
    exit_code, output = _after(change, tmp_path)
    assert exit_code == 1, output
    check_told(output, code, str(_folder(tmp_path)))
    assert output.count("] trial ") < 6  # of six configurations


def test_a_folder_that_was_moved_goes_on_from_where_it_came_back(calm, tmp_path):
    exit_code, output = _after(lambda folder: folder.rename(tmp_path / "elsewhere"), tmp_path)
    assert exit_code == 1, output
    check_told(output, "search-folder-was-removed", "config.yaml")
    shutil.rmtree(_folder(tmp_path), ignore_errors=True)
    (tmp_path / "elsewhere").rename(_folder(tmp_path))
    again = search(*WORDS, cwd=tmp_path, TOY_PAUSE="0")
    assert again.returncode == 0, again.stderr
    assert steady(trials(_folder(tmp_path))).equals(calm)
