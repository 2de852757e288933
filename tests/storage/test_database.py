"""Trials in a database: the same search whichever storage, a server that goes away, passwords that stay hidden, refusals."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from kit import TINY, running, search, steady, trials, wait_for
from omegaconf import OmegaConf
from optuna.storages import RDBStorage
from postgres import PASSWORD, Server, needs_postgres, server
from refusals import check_told, raises
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import NullPool

from search.__main__ import main
from search.config.knobs import Knob
from search.config.passwords import complete, redacted, without_password
from search.contract.metrics import Metric
from search.storage.database import Database
from search.storage.folder import Folder
from search.storage.study import Study
from search.storage.trial_storage import ServerAway
from search.storage.trials import TrialRecord, TrialSpec

KNOB = Knob(path="lr", low=0.1, high=1.0, log=True)
LINKED = "storage.url=${oc.env:PG_URL}"


def _database(folder: Path, address: str = "", patience: float = 0.0) -> Database:
    folder.mkdir(exist_ok=True)
    address = address or f"sqlite:///{folder.parent}/x.db"
    return Database(address, marker=folder / "storage.json", patience=patience)


def _stock(name: str, address: str) -> optuna.Study:
    """As Optuna itself reads a study; no connection stays open."""
    storage = RDBStorage(address, engine_kwargs={"poolclass": NullPool})
    return optuna.load_study(study_name=name, storage=storage)


def _study(database: Database, name: str = "s") -> Study:
    metric = Metric(name="accuracy", direction="maximize")
    return Study.for_writing(database, name=name, metric=metric, knobs=[KNOB])


def _ask(number: int) -> TrialSpec:
    return TrialSpec(trial=number, stage="sweep.lr", knobs={"lr": 0.5}, seed=number)


def _carry_out(study: Study, number: int, state: str = "complete") -> None:
    study.start(_ask(number), values={"lr": (0.1, 0.5, 1.0)})
    study.report(number, epoch=1, value=0.25)
    study.finish(TrialRecord(spec=_ask(number), state=state, value=0.5, epochs=1, best_epoch=1, sampler_value=0.5, reason="why"))  # fmt: skip
    study.storage.sync()


@pytest.mark.slow
def test_a_resumed_study_in_a_database_keeps_its_rows_and_what_was_underway(tmp_path):
    first = _study(_database(tmp_path / "one"))
    _carry_out(first, 0)
    _carry_out(first, 1, state="infeasible")
    first.start(_ask(2), values={"lr": (0.5,)})
    first.close()
    second = _study(_database(tmp_path / "one"))
    assert [row.state for row in second.rows(alive=True)] == ["complete", "infeasible", "running"]
    _carry_out(second, 2)
    rows = second.rows(alive=False)
    second.close()
    seen = Study.for_reading(_database(tmp_path / "one"), name="s", knobs=[KNOB])
    assert [replace(row, ended=0.0) for row in seen.rows(alive=False)] == [replace(row, ended=0.0) for row in rows]  # fmt: skip
    stock = _stock("s", f"sqlite:///{tmp_path}/x.db")
    assert [trial.state.name for trial in stock.trials] == ["COMPLETE"] * 3
    assert stock.metric_names == ["accuracy"]
    assert stock.best_trial.number in (0, 2)  # the infeasible one has a constraint
    assert [trial.intermediate_values for trial in stock.trials] == [{1: 0.25}] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "arrives"),  # the others are overwritten by the same value
    [
        ("create_new_trial", False),
        ("create_new_trial", True),
        ("set_trial_state_values", False),
        ("set_trial_state_values", True),
        ("set_trial_intermediate_value", True),
        ("set_trial_user_attr", True),
    ],
)
def test_a_write_whose_answer_is_lost_is_recorded_once(call, arrives, tmp_path, monkeypatch):
    database = _database(tmp_path / "one", patience=30)
    study, says = _study(database), []
    study.storage.on_wait(says.append)
    _carry_out(study, 0)
    rdb = database._database
    whole, cuts = getattr(rdb, call), [0]

    def cut(*arguments, **options):
        cuts[0] += 1
        if cuts[0] != 1:
            return whole(*arguments, **options)
        if arrives:
            whole(*arguments, **options)
        raise OperationalError("statement", {}, Exception("the connection was cut"))

    monkeypatch.setattr(rdb, call, cut)
    monkeypatch.setattr("search.storage.write_through.PAUSE", 0.0)
    _carry_out(study, 1)
    assert says[0].endswith("cannot be written (the connection was cut); the search waits for it, storage.patience=30 s at most")  # fmt: skip
    assert says[1].endswith("is there again after 0 s; the search goes on")
    study.close()
    stock = _stock("s", f"sqlite:///{tmp_path}/x.db")
    assert [(t.number, t.state.name, t.value, t.user_attrs["trial"]) for t in stock.trials] == [
        (0, "COMPLETE", 0.5, 0),
        (1, "COMPLETE", 0.5, 1),
    ]


def test_a_trial_that_the_library_itself_made_twice_is_ended_and_no_search_sees_it(
    tmp_path, monkeypatch
):
    database = _database(tmp_path / "one")
    study = _study(database)
    rdb = database._database
    whole = rdb.create_new_trial

    def twice(*arguments):
        whole(*arguments)
        return whole(*arguments)

    monkeypatch.setattr(rdb, "create_new_trial", twice)
    study.start(_ask(0), values={})
    monkeypatch.undo()
    _carry_out(study, 0)
    _carry_out(study, 1)
    assert [row.spec.trial for row in study.rows(alive=False)] == [0, 1]
    study.close()
    again = _study(_database(tmp_path / "one"))
    assert [(row.spec.trial, row.state) for row in again.rows(alive=True)] == [(0, "complete"), (1, "complete")]  # fmt: skip
    again.close()
    stock = _stock("s", f"sqlite:///{tmp_path}/x.db")
    assert [trial.state.name for trial in stock.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_server_that_stays_away_ends_the_search_in_words_and_so_does_an_interruption(
    tmp_path, monkeypatch
):
    database = _database(tmp_path / "one", patience=0.01)
    study = _study(database)

    def away(*arguments):
        raise OperationalError("statement", {}, Exception("no route to host"))

    monkeypatch.setattr(database._database, "create_new_trial", away)
    monkeypatch.setattr("search.storage.write_through.PAUSE", 0.02)
    with raises("database-stayed-away", "x.db"):  # fmt: skip
        study.start(_ask(0), values={})
    database = _database(tmp_path / "one", patience=10**6)
    study = _study(database)
    monkeypatch.setattr(database._database, "create_new_trial", away)
    study.storage.end_wait()
    with pytest.raises(ServerAway):
        study.start(_ask(0), values={})
    assert study.rows(alive=True) == []  # the copy in memory answers


def test_a_record_that_the_server_refuses_ends_the_search_at_once(tmp_path, monkeypatch):
    database = _database(tmp_path / "one", patience=10**6)
    study = _study(database)

    def refuses(*arguments):
        raise IntegrityError("statement", {}, Exception("a value too long"))

    monkeypatch.setattr(database._database, "create_new_trial", refuses)
    with raises("storage-refuses-record", "a value too long"):
        study.start(_ask(0), values={})


def test_the_study_of_another_folder_or_program_is_refused_and_left_as_it_is(tmp_path):
    study = _study(_database(tmp_path / "one"))
    _carry_out(study, 0)
    study.close()
    with raises("study-of-another-folder", "'s'"):  # fmt: skip
        _database(tmp_path / "two").check(name="s")
    with raises("study-of-another-folder"):
        _study(_database(tmp_path / "two"))
    assert not (tmp_path / "two" / "storage.json").exists()
    _database(tmp_path / "two").check(name="other")
    stock = optuna.create_study(study_name="theirs", storage=f"sqlite:///{tmp_path}/x.db")
    stock.add_trial(optuna.trial.create_trial(value=1.0))
    with raises("study-has-other-writer", "'theirs'"):  # fmt: skip
        _database(tmp_path / "two").check(name="theirs")
    ours = _stock("s", f"sqlite:///{tmp_path}/x.db")
    ours.add_trial(optuna.trial.create_trial(value=1.0))
    with raises("study-has-other-writer", "'s'"):  # fmt: skip
        _study(_database(tmp_path / "one"))
    assert len(ours.trials) == 2


def test_a_conductor_in_a_copy_of_the_folder_stops_the_first_one_in_words(tmp_path):
    first = _study(_database(tmp_path / "one"))
    _carry_out(first, 0)
    first.start(_ask(1), values={})
    first.start(_ask(2), values={})
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    second = _study(_database(tmp_path / "copy"))
    _carry_out(second, 1)
    for trial in (1, 2):  # one that the other has finished, and one of its own
        with raises("study-was-taken-over", f"(process {os.getpid()} on "):
            _carry_out(first, trial)
    _carry_out(second, 3)
    assert [(row.spec.trial, row.state) for row in second.rows(alive=True)] == [(0, "complete"), (1, "complete"), (2, "running"), (3, "complete")]  # fmt: skip
    with raises("study-was-taken-over", "(the one that began before this one)"):
        _carry_out(second, 2)  # which the first has ended until it noticed
    second.close()


def test_a_search_that_begins_anew_leaves_nothing_of_its_own_and_all_of_others(tmp_path):
    study = _study(_database(tmp_path / "one"))
    _carry_out(study, 0)
    study.close()
    other = _study(_database(tmp_path / "two"), name="t")
    _carry_out(other, 0)
    other.close()
    _database(tmp_path / "one").clear()
    assert not (tmp_path / "one" / "storage.json").exists()
    storage = RDBStorage(f"sqlite:///{tmp_path}/x.db", engine_kwargs={"poolclass": NullPool})
    assert optuna.get_all_study_names(storage) == ["t"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense", ("database-address-not-valid", "storage.url", "'nonsense'")),
        ("nosuch://h/d", ("database-does-not-answer", "'nosuch'")),
        ("oracle://h/d", ("database-does-not-answer", "'knobwise[postgresql]'")),
        ("sqlite:////no/such/folder/x.db", ("database-does-not-answer",)),
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_refused_in_words(address, message, tmp_path):
    with raises(*message):
        _database(tmp_path / "one", address).check(name="s")
    with raises("database-does-not-answer", "gone.db"):
        _database(tmp_path / "one", "sqlite:///gone.db").read()
    assert not Path("gone.db").exists()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:p%40w@h:5/d", "postgresql://u:***@h:5/d"),
        ("mysql+pymysql://u:p/w@h/d?charset=utf8", "mysql+pymysql://u:***@h/d?charset=utf8"),
        ("postgresql://h/d?user=u&password=pw&sslmode=off", "postgresql://h/d?user=u&password=***&sslmode=off"),
        ("storage.url=postgresql://u:pw@h/d name=x", "storage.url=postgresql://u:***@h/d name=x"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("postgresql://u:p@w/x@h:5/d", "postgresql://u:***@h:5/d"),
        ("postgresql://u@host:pw@h/d", "postgresql://u@host:***@h/d"),
        ("postgresql://u:pw@h/d?options=a@b", "postgresql://u:***@h/d?options=a@b"),
    ],
)  # fmt: skip
def test_a_password_is_never_shown(address, shown):
    assert redacted(address) == shown


def test_a_password_is_taken_off_a_config_and_remembered_but_a_link_stays():
    config = OmegaConf.create({"storage": {"url": "postgresql://u:pw@h/d"}})
    assert without_password(config).storage.url == "postgresql://u@h/d"
    assert complete("postgresql://u@h/d") == "postgresql://u:pw@h/d"
    for given in ("?password=pw&sslmode=off", "?sslmode=off&password=pw"):
        config = OmegaConf.create({"storage": {"url": f"postgresql://h/d{given}"}})
        assert without_password(config).storage.url == "postgresql://h/d?sslmode=off"
    for url in ("postgresql://u:${oc.env:PW}@h/d", "${oc.env:PG_URL}", "sqlite:///x.db", None):
        link = OmegaConf.create({"storage": {"url": url}})
        assert without_password(link) is link
    assert without_password(OmegaConf.create({"name": "old"})) == {"name": "old"}


def test_a_search_in_a_database_file_gives_the_table_of_one_in_the_journal(tmp_path, capsys):
    for words in (["name=calm"], ["name=base", "storage.url=sqlite:///x.db"]):
        done = search(*TINY, *words, cwd=tmp_path, TOY_PAUSE="0")
        assert done.returncode == 0, done.stdout + done.stderr
    calm, base = (tmp_path / "results" / name for name in ("calm", "base"))
    assert steady(trials(base)).equals(steady(trials(calm)))
    assert not (base / "journal.log").exists()
    assert main(["status", "base"]) == 0
    assert "12 of 12" in capsys.readouterr().out
    shutil.move(tmp_path / "x.db", tmp_path / "moved.db")
    assert main(["table", "base"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    check_told(printed.err, "database-does-not-answer", "storage.url: sqlite:///x.db", "x.db;")
    assert main(["status"]) == 1
    printed = capsys.readouterr()
    assert "calm: done" in printed.out
    assert "base: cannot be read: storage.url: sqlite:///x.db" in printed.out


@pytest.fixture(scope="module")
def postgres():
    with server() as running_server:
        yield running_server


@needs_postgres
@pytest.mark.timeout(180)
def test_a_server_stopped_in_the_middle_of_a_search_is_waited_for_and_nothing_is_lost_or_repeated(
    postgres: Server, tmp_path
):
    pace = {"TOY_PAUSE": "0.05", "PG_URL": postgres.url}
    words = [*TINY, LINKED, "name=storm", "trainer.epoch_timeout=3", "trainer.timeout=60"]
    lines: list[str] = []
    with running(*words, cwd=tmp_path, **pace) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "[3/12]" in line:
                postgres.stop()
            if "cannot be written" in line:  # longer than the time that an epoch has
                since = time.monotonic()
                wait_for(lambda: time.monotonic() > since + 4)  # noqa: B023
                postgres.start()
        assert process.wait() == 0, "".join(lines)
    text = "".join(lines)
    assert f"{postgres.shown}: cannot be written" in text
    assert "is there again after" in text
    calm = search(*TINY, "name=calm", "trainer.epoch_timeout=3", "trainer.timeout=60", cwd=tmp_path)
    assert calm.returncode == 0
    rows = trials(tmp_path / "results" / "storm")
    assert steady(rows).equals(steady(trials(tmp_path / "results" / "calm")))
    assert rows.seconds.max() < 3  # the wait is nobody's training
    stock = _stock("storm", postgres.driver_url)
    assert sorted(trial.user_attrs["trial"] for trial in stock.trials) == list(range(12))
    assert {trial.state.name for trial in stock.trials} == {"COMPLETE"}


@needs_postgres
@pytest.mark.parametrize(("words", "limit"), [("", "10s"), ("?options=-c%20lock_timeout%3D1min", "1min")])  # fmt: skip
def test_a_write_waits_for_a_lock_as_long_as_the_address_says(words, limit, postgres, tmp_path):
    database = _database(tmp_path, postgres.url + words)._connected()
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == limit
    database.engine.dispose()


@needs_postgres
@pytest.mark.timeout(60)
def test_a_lock_that_somebody_else_holds_is_told_and_waited_for(postgres, tmp_path, monkeypatch):
    monkeypatch.setattr("search.storage.database.LOCK_TIMEOUT", "SET lock_timeout = '100ms'")
    study, says = _study(_database(tmp_path / "one", postgres.url, patience=30)), []
    _carry_out(study, 0)
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres.url) as somebody:
        somebody.execute("LOCK TABLE trials IN ACCESS EXCLUSIVE MODE")
        study.storage.on_wait(lambda line: (says.append(line), somebody.rollback()))
        _carry_out(study, 1)
    assert [" cannot be written " in line for line in says] == [True, False]
    assert [row.state for row in study.rows(alive=True)] == ["complete"] * 2
    study.close()


@needs_postgres
def test_two_searches_of_one_name_on_one_server_are_refused_and_a_wrong_password_and_no_server_too(
    postgres: Server, tmp_path
):
    words = [*TINY, LINKED, "name=one"]
    done = search(*words, cwd=tmp_path, PG_URL=postgres.url, TOY_PAUSE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    _nobody_reads_the_password(tmp_path / "results")
    for change, address, message in (
        (["results_root=elsewhere"], postgres.url, ("study-of-another-folder", "'one'", str(tmp_path / "results" / "one"))),
        ([], postgres.url.replace(PASSWORD, "wrong"), ("database-does-not-answer", "password authentication failed for user")),
        ([], postgres.url.replace(str(postgres.port), "1"), ("database-does-not-answer", "storage.url")),
    ):  # fmt: skip
        told = search(*words, *change, cwd=tmp_path, PG_URL=address)
        assert (told.returncode, told.stdout.count("trial")) == (2, 0), told.stdout + told.stderr
        check_told(told.stderr, *message)
    assert not (tmp_path / "elsewhere").exists()


@needs_postgres
def test_a_password_in_a_command_reaches_no_file_no_table_and_no_document(
    postgres: Server, tmp_path, capsys, monkeypatch
):
    words = [*TINY, f"storage.url={postgres.url}", "name=said", "callbacks=command", f"callbacks.command.command=[sh,-c,'cat >> {tmp_path}/events']"]  # fmt: skip
    lines: list[str] = []
    with running(*words, cwd=tmp_path, TOY_PAUSE="0.01") as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "[3/12]" in line:
                lines.append((tmp_path / "results" / "said" / "lock").read_text())
        assert process.wait() == 0, "".join(lines)
    lines.append((tmp_path / "events").read_text())
    assert "search_begun" in lines[-1]
    assert PASSWORD not in "".join(lines)
    assert postgres.shown.replace("+psycopg", "") in "".join(lines)  # the command, in the lock
    _nobody_reads_the_password(tmp_path / "results")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    for verb in (["status", "said", "--json"], ["table", "said", "--format", "json"], ["report", "said"], ["doctor", "said", "--json"]):  # fmt: skip
        assert main(verb) == 0
        assert PASSWORD not in capsys.readouterr().out
    monkeypatch.delenv("PGPASSWORD")
    assert main(["table", "said"]) == 2
    check_told(capsys.readouterr().err, "database-does-not-answer", "PGPASSWORD, ~/.pgpass")
    _nobody_reads_the_password(tmp_path / "results")


def _nobody_reads_the_password(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 15
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


def test_a_database_that_has_lost_the_search_is_told_and_no_trial_begins_again(tmp_path):
    folder = Folder(tmp_path / "one")
    folder.path.mkdir()
    config = OmegaConf.create({"metric": {}, "storage": {"url": f"sqlite:///{tmp_path}/x.db", "patience": 1}})  # fmt: skip
    folder.config.write_text(OmegaConf.to_yaml(config))
    study = _study(folder.storage())
    _carry_out(study, 0)
    study.close()
    folder.curve_log.write_text("")
    folder.check_config(config)
    (tmp_path / "x.db").unlink()
    _database(tmp_path / "two").open(name="another")  # a fresh file
    with raises("file-was-changed", "x.db", "curves.jsonl"):  # fmt: skip
        folder.check_config(config)
