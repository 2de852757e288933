"""The journal: what stock Optuna reads, what a torn line costs, and who may write."""

import json

import optuna
import pytest
from drawn import joint_plan
from full_disk import filling
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from refusals import raises

from search.config.knobs import Knob
from search.contract.metrics import Metric
from search.stages.samplers import make_pruner
from search.storage.journal import Journal, JournalFile, ReadOnlyJournal
from search.storage.study import Study, begin_anew
from search.storage.trials import TrialRecord, TrialSpec

KNOB = Knob(path="lr", low=0.1, high=1.0, log=True)


def _study(path, name="s"):
    return Study.for_writing(
        JournalFile(path),
        name=name,
        metric=Metric(name="accuracy", direction="maximize"),
        knobs=[KNOB],
    )


def _fill(path, trials=3):
    study = _study(path)
    for number in range(trials):
        spec = TrialSpec(trial=number, stage="sweep.lr", knobs={"lr": 0.5}, seed=number)
        study.start(spec, values={"lr": (0.1, 0.5, 1.0)})
        study.report(number, epoch=1, value=0.25)
        study.finish(
            TrialRecord(
                spec=spec, state="complete", value=0.5, epochs=1, best_epoch=1, sampler_value=0.5
            )
        )
    study.close()
    return path


def _stock(path, name="s"):
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


def test_of_an_epoch_that_a_resumed_trial_repeats_the_last_report_counts(tmp_path):
    study = _study(tmp_path / "journal.log")
    study.start(TrialSpec(trial=0, stage="sweep.lr", knobs={"lr": 0.5}, seed=0), values={})
    for value in (0.25, 0.5):
        study.report(0, epoch=1, value=value)
    study.close()
    assert _stock(tmp_path / "journal.log").trials[0].intermediate_values == {1: 0.5}


def test_stock_optuna_reads_what_we_write(tmp_path):
    study = _stock(_fill(tmp_path / "journal.log"))
    assert [trial.value for trial in study.trials] == [0.5] * 3
    assert [trial.params for trial in study.trials] == [{"lr": 0.5}] * 3
    assert study.trials[0].intermediate_values == {1: 0.25}
    assert study.best_value == 0.5


@pytest.mark.parametrize("kind", ["asha", "hyperband", "median", "patient"])
def test_a_pruner_compares_a_trial_with_no_training_of_older_code(tmp_path, kind):
    plan = joint_plan(f"pruner={kind}")
    pruner = make_pruner(plan.settings, epochs=27)
    storage, metric = (
        JournalFile(tmp_path / "journal.log"),
        Metric(name="accuracy", direction="maximize"),
    )

    def opened(*, older=()):
        return Study.for_writing(
            storage, name="s", metric=metric, knobs=[KNOB], pruner=pruner, older=older
        )

    def train(study, number, value, *, end=True):
        """Reports 27 epochs, and returns at how many of them it would be pruned."""
        spec = TrialSpec(trial=number, stage="joint", knobs={"lr": 0.5}, seed=number)
        study.start(spec, values={})
        hopeless = 0
        for epoch in range(1, 28):
            study.report(number, epoch=epoch, value=value - epoch / 1000)
            hopeless += study.hopeless(number)
        if end:
            study.finish(TrialRecord(spec=spec, state="complete", value=value, sampler_value=value))
        return hopeless

    study = opened()
    for number in range(8):
        train(study, number, 0.9)
    train(study, 8, 0.9, end=False)
    study.close()
    begin_anew(storage, search="s", trials=[8])
    study = opened(older=range(8))
    assert train(study, 8, 0.1) == 0
    for number in range(9, 17):
        assert train(study, number, 0.1) == 0
    study.close()
    study = opened()
    for number in range(17, 25):
        train(study, number, 0.9)
    assert any(train(study, number, 0.1) for number in range(25, 29))
    study.close()


def test_a_trial_that_begins_anew_is_judged_by_its_new_reports_alone(tmp_path):
    path = _fill(tmp_path / "journal.log", trials=2)
    spec = TrialSpec(trial=2, stage="joint", knobs={"lr": 0.3}, seed=7)
    study = _study(path)
    study.start(spec, values={})
    for epoch in (1, 2, 3):
        study.report(2, epoch=epoch, value=0.1)
    study.close()
    begin_anew(JournalFile(path), search="s", trials=[0, 2])
    study = _study(path)
    assert [row.spec for row in study.rows(alive=True)][2] == spec
    assert [row.state for row in study.rows(alive=True)] == ["complete", "complete", "running"]
    study.start(spec, values={})
    study.report(2, epoch=1, value=0.9)
    study.finish(TrialRecord(spec=spec, state="complete", value=0.9, epochs=1, sampler_value=0.9))
    study.close()
    former, last = _stock(path).trials[2:]
    assert (former.state.name, len(former.intermediate_values)) == ("FAIL", 3)
    assert (last.state.name, last.intermediate_values) == ("COMPLETE", {1: 0.9})


@pytest.mark.parametrize("bytes_torn", [1, 7, 40])
def test_a_torn_last_line_is_cut_off_and_said_and_nothing_else_is_lost(bytes_torn, tmp_path):
    path = _fill(tmp_path / "journal.log")
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rsplit(b"\n", 1)[1]
    path.write_bytes(whole + last[:bytes_torn])
    study = _study(path)
    assert study.storage.repaired == f"cut off a torn last line of {bytes_torn} bytes"
    assert [row.value for row in study.rows(alive=False)] == [0.5] * 3
    study.close()
    assert path.read_bytes().startswith(whole)
    assert len(_stock(path).trials) == 3


def test_a_resumed_study_keeps_its_rows_and_takes_up_what_was_underway(tmp_path):
    path = _fill(tmp_path / "journal.log", trials=1)
    first = _study(path)
    spec = TrialSpec(trial=1, stage="sweep.lr", knobs={"lr": 1.0}, seed=0)
    first.start(spec, values={"lr": (0.1, 0.5, 1.0)})
    second = _study(path)  # the first conductor was killed
    assert [row.state for row in second.rows(alive=True)] == ["complete", "running"]
    assert [row.state for row in second.rows(alive=False)] == ["complete", "queued"]
    second.start(spec, values={"lr": (0.1, 0.5, 1.0)})
    second.finish(TrialRecord(spec=spec, state="infeasible", reason="diverged", sampler_value=0.1))
    rows = second.rows(alive=False)
    assert [row.state for row in rows] == ["complete", "infeasible"]
    assert rows[1].value is None
    assert rows[1].reason == "diverged"
    assert _stock(path).trials[1].value == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:2], b"{broken", *lines[2:]], ("file-was-changed", "journal.log:3", "'{broken'")),
        (lambda lines: [*lines, b'{"no": "writer"}'], ("file-was-changed",)),
        (lambda lines: [lines[0].replace(b"1", b"2", 1), *lines[1:]], ("file-was-changed", "journal.log:1")),
        (lambda lines: [*lines, b'{"op_code":1,"worker_id":"x-1","study_id":0}'], ("study-was-deleted",)),
        (
            lambda lines: [*lines, b'{"op_code":8,"worker_id":"other-1","trial_id":0,"user_attr":{"a":1}}'],
            ("journal-has-other-writer", "other-1"),
        ),
        (
            lambda lines: [b'{"op_code":0,"worker_id":"x-1","study_name":"t","directions":[2]}', *lines[1:]],
            ("journal-of-another-search", "'s'", "'t'"),
        ),
    ],
)  # fmt: skip
def test_a_journal_that_somebody_else_touched_is_refused_and_left_as_it_is(
    change, message, tmp_path
):
    path = _fill(tmp_path / "journal.log")
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())) + b"\n")
    before = path.read_bytes()
    with raises(*message):
        _study(path)
    assert path.read_bytes() == before


def test_a_kill_between_the_study_and_its_claim_is_no_unknown_writer(tmp_path):
    path = _fill(tmp_path / "journal.log", trials=0)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    study = _study(path)
    study.close()
    assert (
        len([line for line in path.read_text().splitlines() if json.loads(line)["op_code"] == 0])
        == 1
    )


def test_the_read_only_backend_follows_a_growing_file_and_refuses_to_write(tmp_path):
    path = _fill(tmp_path / "journal.log", trials=1)
    study = optuna.load_study(study_name="s", storage=JournalStorage(ReadOnlyJournal(path)))
    assert len(study.trials) == 1
    writer = _study(path)
    writer.start(
        TrialSpec(trial=1, stage="sweep.lr", knobs={"lr": 1.0}, seed=0), values={"lr": (0.1, 1.0)}
    )
    assert len(study.trials) == 2
    before = path.read_bytes()
    with pytest.raises(PermissionError, match="is read-only here; the search is its only writer"):
        study.set_user_attr("note", "hello")
    with pytest.raises(PermissionError, match="is read-only here"):
        optuna.delete_study(study_name="s", storage=JournalStorage(ReadOnlyJournal(path)))
    assert path.read_bytes() == before


def test_a_full_disk_is_told_and_not_swallowed(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.log", name="s")
    filling(monkeypatch, room=3)
    with pytest.raises(OSError, match="No space left on device"):
        journal.append_logs([{"op_code": 0, "worker_id": "a-1"}])


def test_reports_are_in_the_file_from_the_flush_on_and_before_every_other_record(tmp_path):
    path = tmp_path / "journal.log"
    study = _study(path)
    study.start(TrialSpec(trial=0, stage="sweep.lr", knobs={"lr": 0.5}, seed=0), values={})
    before = path.read_bytes()
    for epoch in (1, 2):
        study.report(0, epoch=epoch, value=epoch / 10)
    assert path.read_bytes() == before
    study.storage.flush()
    reported = path.read_bytes()
    assert [json.loads(line)["step"] for line in reported[len(before) :].splitlines()] == [1, 2]
    study.report(0, epoch=3, value=0.3)
    study.start(TrialSpec(trial=1, stage="sweep.lr", knobs={"lr": 0.5}, seed=1), values={})
    third, started = map(json.loads, path.read_bytes()[len(reported) :].splitlines())
    assert (third["step"], started["user_attrs"]["trial"]) == (3, 1)


def test_stock_optuna_takes_neither_a_lucky_confirmation_nor_an_infeasible_trial_for_the_best(
    tmp_path,
):
    study = _study(tmp_path / "journal.log")
    for number, (stage, state, value) in enumerate(
        [
            ("joint", "complete", 0.6),
            ("joint", "complete", 0.7),
            ("joint", "infeasible", 0.95),  # what the sampler was told in its place
            ("confirm", "complete", 0.9),
            ("confirm", "complete", 0.5),
        ]
    ):
        spec = TrialSpec(trial=number, stage=stage, knobs={"lr": 0.5}, seed=number)
        study.start(spec, values={})
        study.finish(TrialRecord(spec=spec, state=state, value=value, sampler_value=value))
    study.close()
    stock = _stock(tmp_path / "journal.log")
    assert (stock.best_trial.number, stock.best_value) == (1, 0.7)
    assert stock.metric_names == ["accuracy"]
    rows = _study(tmp_path / "journal.log").rows(alive=False)
    assert [row.state for row in rows][2] == "infeasible"
    assert rows[3].value == 0.9
