"""The commands as a user gives them: what they print, their exit codes, and that a wrong word changes nothing."""

import errno
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
import zipfile
from dataclasses import replace

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import (
    INLINE,
    MARK,
    ROOT,
    TINY,
    environment,
    marked,
    running,
    script,
    search,
    steady,
    trials,
    wait_for,
)
from refusals import check_told, raises
from safetensors.numpy import load_file
from simulated import tune_plan

from search import __main__ as main_module
from search.__main__ import exit_with_main, main
from search.errors import disk_error
from search.lifecycle.estimate import Measured, dearer_knobs


def test_without_a_word_it_lists_experiments_and_verbs_and_exits_2(elsewhere):
    done = search(cwd=elsewhere)
    assert done.returncode == 2
    for name in (
        "lr_sweep",
        "smoke",
        "plan",
        "status",
        "table",
        "export",
        "train",
        "test",
        "dashboard",
    ):
        assert re.search(rf"^  {name} +\S", done.stdout, re.MULTILINE), name
    assert search("--help", cwd=elsewhere).returncode == 0
    assert search("train", "--help", cwd=elsewhere).stdout.startswith(
        "usage: python -m search train [-h] FILE [key=value ...]"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lr_swep"], ("unknown-experiment-or-verb", "'lr_swep'", "'lr_sweep'")),
        (["run"], ("missing-words", "[key=value")),
        (["smoke", "optimizer.lrr=1"], ("unknown-key", "'optimizer.lrr'", "'optimizer.lr'", "optimizer._target_")),
        (["smoke", "epochs=3"], ("unknown-key", "'epochs'", "'trainer.epochs'")),
        (["smoke", "trainer.lr=1"], ("unknown-key", "'trainer.lr'", "'optimizer.lr'", "18, listed by python -m search help smoke")),
        (["joint", "trainer=command", "data.rows=9"], ("unknown-key", "'data.rows'", "data=own")),
        (["smoke", "trainr.epochs=3"], ("unknown-key", "'trainr'", "'trainer'", "+trainr.epochs")),
        (["smoke", "optimizer=adamm"], ("unknown-option-of-group", "'adamm'", "'adam'")),
        (["run", "nothing"], ("unknown-experiment", "'nothing'", "activation_sweep")),
        (["plan"], ("missing-words",)),
        (["table"], ("missing-words",)),
        (["lr_sweep", "--batch-size", "5"], ("unknown-option", "'--batch-size'", "batch_size")),
        (["table", "--seeds", "5"], ("unknown-option", "'--seeds'")),
        (["table", "a", "b"], ("surplus-words", "`python -m search table", "NAME`")),
        (["table", "nothing"], ("unknown-search", "'nothing'")),
        (["status", "nothing"], ("unknown-search", "'nothing'")),
        (["export", "nothing"], ("unknown-search", "'nothing'")),
        (["smoke", "seeds", "5"], ("no-override", "'seeds'", "key=value", "+key=value")),
        (["export", "x", "--to", "nowhere/best.yaml"], ("option-not-valid",)),
        (["export", "x", "--to"], ("option-not-valid",)),
        (["test", "nothing"], ("unknown-search", "'nothing'")),
        (["train"], ("missing-words",)),
        (["train", "nothing.yaml"], ("config-not-found", "nothing.yaml")),
        (["dashboard", "x", "--port", "high"], ("option-not-valid", "65535")),
        (["--config-dir"], ("config-dir-needs-folder",)),
        (["--config-dir=nowhere", "lr_sweep"], ("config-dir-not-a-folder",)),
        (["lr_sweep", "metric=mse", "metric.name=mse"], ("metric-does-not-fit-task", "balanced_accuracy", "metric=accuracy", "loss=cross_entropy")),
        (["lr_sweep", "placement.gpus=[7]"], ("gpu-not-visible", "placement.gpus")),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_a_wrong_command_is_told_by_its_text_with_exit_2_and_writes_nothing(
    words, message, elsewhere, capsys, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(words) == 2
    check_told(capsys.readouterr().err, *message)
    assert list(elsewhere.iterdir()) == []


KEYS = st.sampled_from(
    ["seeds", "name", "keep", "optimizer.lr", "trainer.epochs", "trainer.patience", "space.optimizer.lr.low", "space.optimizer.lr.high",
     "space.optimizer.lr.scale", "space.optimizer.lr.points", "split.test", "split.kind", "metric.direction", "data.inputs", "model",
     "placement.threads", "placement.slots", "placement.gpus", "protocol.kind", "nonsense", "space.model.width", "normalise"]
)  # fmt: skip
VALUES = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from(["null", "true", "inf", "nan", "''", "[]", "{}", "[1,2]", "a/b", "..", "${seed}", "${x}", "interval(1,0)", "choice()",
                     "tag(log,interval(0,1))", "range(1,2,0)", "a b", "=", "((", "'", "\\", "ä", "0.5", "1e400", "-1e-9", "x" * 300]),
    st.text(max_size=8),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=3))
def test_whatever_is_thrown_at_the_door_never_gives_a_traceback_and_never_writes(pairs, elsewhere):
    """Through `plan` up to its measurement: everything that a search checks before it writes, without the training."""
    from omegaconf import OmegaConf

    from search.config.compose import compose_experiment
    from search.config.plan import read_plan
    from search.errors import UsageError
    from search.execution.worker_pool import slots_of

    try:
        config = compose_experiment(
            "lr_sweep", overrides=[f"{key}={value}" for key, value in pairs], config_dir=None
        )
        plan = read_plan(config, root=elsewhere)
        slots_of(plan)
        assert OmegaConf.is_config(plan.config)
    except UsageError:
        pass
    assert list(elsewhere.iterdir()) == []


def test_the_whole_line_from_config_to_export_and_back(smoke):
    folder = smoke / "results" / "smoke"
    table = trials(folder)
    assert list(table.columns[:13]) == [
        "trial", "stage", "state", "value", "best_epoch", "epochs", "seed", "seconds", "device", "strategy", "verdict", "reason", "source",
    ]  # fmt: skip
    assert list(table.columns[13:]) == ["optimizer.lr"]
    assert table["optimizer.lr"].tolist() == [0.1, 0.001, 0.01, 1.0]
    assert table.state.tolist() == ["complete", "complete", "complete", "infeasible"]
    assert set(table.source.dropna()) == {"computed"}
    curves = pd.read_parquet(folder / "curves.parquet")
    first = [
        "trial",
        "fold",
        "epoch",
        "step",
        "train_loss",
        "val_loss",
        "accuracy",
        "lr",
        "grad_norm",
        "update_ratio",
        "seconds",
    ]
    assert list(curves.columns[: len(first)]) == first
    assert set(curves.columns[len(first) :]) == {
        "train_eval_loss",
        "dead_units",
        "distance",
        "early_gradient",
        "confidence",
    }
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert best["expected"] == table.value.max()
    assert best["optimizer"]["lr"] == 0.1
    assert set(load_file(folder / "best" / "weights.safetensors")) == {
        "layers.1.weight",
        "layers.1.bias",
        "layers.3.weight",
        "layers.3.bias",
    }
    assert (
        json.loads((folder / "best" / "metrics.json").read_text())["accuracy"] == best["expected"]
    )
    decision = json.loads((folder / "decisions.jsonl").read_text())
    assert (decision["decision"], decision["value"], decision["knob"]) == (
        "keep",
        0.1,
        "optimizer.lr",
    )
    assert not (folder / "curves.jsonl").exists()
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["0"]

    done = search("train", "results/smoke/best.yaml", cwd=smoke)
    assert done.returncode == 0, done.stderr
    assert f"expected: {best['expected']!r}\ngot:      {best['expected']!r}" in done.stdout
    assert "\nresults: results/smoke-train/\n" in done.stdout
    assert search("export", "smoke", "--to", "here.yaml", cwd=smoke).returncode == 0
    assert (smoke / "here.yaml").read_text() == (folder / "best.yaml").read_text()
    taken = search("export", "smoke", "--to", "here.yaml", cwd=smoke)
    assert taken.returncode == 2
    check_told(taken.stderr, "export-target-exists", "--to", "here.yaml")

    again = search("train", "results/smoke/best.yaml", cwd=smoke)
    before, result = again.stdout.split(
        "smoke-train: was trained before; this is its result, and name=… trains again\n"
    )
    assert "accuracy: " not in before
    assert result.startswith(f"accuracy: {best['expected']!r} at epoch ")
    words = ["--trial", "1", "--to", "trial.yaml"]
    assert search("export", "smoke", *words, cwd=smoke).returncode == 0
    refused = search("train", "trial.yaml", cwd=smoke)  # its folder has the winner's training
    assert refused.returncode == 2
    check_told(refused.stderr, "config-of-another-search", "name=")
    assert "was trained before" not in refused.stdout
    other = search("train", "results/smoke/best.yaml", "optimizer.lr=0.05", "name=other", cwd=smoke)
    assert other.returncode == 0
    assert "expected was promised for another config: here optimizer.lr was given" in other.stdout
    told = search("table", "smoke-train", cwd=smoke).stdout
    assert told.startswith(
        f"trial 0: accuracy {best['expected']!r} at epoch 3\nthe curves of trial 0"
    )


def test_a_package_that_hides_ours_is_told(elsewhere):
    (elsewhere / "trainers").mkdir()
    (elsewhere / "trainers" / "__init__.py").touch()
    done = search("smoke", cwd=elsewhere, anew=True)
    assert done.returncode == 2
    check_told(done.stderr, "package-is-hidden", "`trainers`")


@pytest.mark.parametrize(
    ("words", "metric"),
    [
        (["data=diabetes"], "mse"),
        (["metric=composite"], "composite"),
        (["data=breast_cancer", "metric=f1", "split=kfold", "split.folds=3"], "f1"),
        (["data=breast_cancer", "metric=log_loss"], "log_loss"),
    ],
)
def test_every_kind_of_contract_goes_from_search_to_export_to_training_to_test(
    words, metric, elsewhere
):
    short = [
        "space.optimizer.lr.high=0.1",
        "space.optimizer.lr.points=2",
    ]
    done = search("smoke", *INLINE, *words, *short, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (trials(elsewhere / "results" / "smoke").source == "computed").all()
    again = search("train", "results/smoke/best.yaml", cwd=elsewhere)
    assert again.returncode == 0, again.stdout + again.stderr
    if metric == "composite":
        assert (
            "a metric with seconds depends on the machine and the moment, and is not compared"
            in again.stdout
        )
    opened = search("test", "smoke", cwd=elsewhere)
    assert opened.returncode == 0, opened.stderr
    score = json.loads((elsewhere / "results" / "smoke" / "test_ledger.jsonl").read_text())["score"]
    best = yaml.safe_load((elsewhere / "results" / "smoke" / "best.yaml").read_text())["expected"]
    assert opened.stdout.startswith(f"test {metric}: {score:.4g} on ")
    assert 0.5 < score / best < 2


def test_more_seeds_extend_a_search_and_are_written_down(smoke):
    done = search("smoke", *INLINE, "seeds=2", "trainer.epochs=3", cwd=smoke)
    assert done.returncode == 0, done.stderr
    assert len(trials(smoke / "results" / "smoke")) == 8
    assert yaml.safe_load((smoke / "results" / "smoke" / "config.yaml").read_text())["seeds"] == 2
    refused = search("smoke", *INLINE, cwd=smoke)
    assert refused.returncode == 2
    check_told(refused.stderr, "config-of-another-search", "seeds: 2 there, 1 now")


def test_a_search_that_cannot_be_read_does_not_hide_the_others(smoke):
    (smoke / "results" / "broken").mkdir()
    (smoke / "results" / "broken" / "config.yaml").write_text(
        (smoke / "results" / "smoke" / "config.yaml").read_text()
    )
    assert "broken: not begun yet" in search("status", cwd=smoke).stdout
    (smoke / "results" / "broken" / "journal.log").write_text("rubbish\n")
    done = search("status", cwd=smoke)
    assert done.returncode == 1
    assert "broken: cannot be read: " in done.stdout
    assert "smoke: done, 4 of 4 trials finished" in done.stdout
    (smoke / "results" / "broken" / "journal.log").unlink()
    (smoke / "results" / "broken" / "preflight.json").write_text("rubbish\n")
    done = search("status", cwd=smoke)
    assert "broken: a range test or preflight that cannot be read: " in done.stdout
    assert "smoke: done, 4 of 4 trials finished" in done.stdout


def test_a_terminal_without_our_letters_shows_a_mark_in_their_place(monkeypatch):
    errors = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "argv", ["knobwise", "größe"])
    with pytest.raises(SystemExit, match="2"):
        exit_with_main()
    errors.seek(0)
    check_told(errors.read(), "unknown-experiment-or-verb", "'gr??e'")


def test_a_locale_that_knows_no_letters_beyond_ascii_searches_and_refuses_words_with_such(
    elsewhere,
):
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert search("list", cwd=elsewhere, **ascii_only).returncode == 0
    done = search(*TINY, *INLINE, "report=on", cwd=elsewhere, **ascii_only)
    assert done.returncode == 0, done.stderr
    assert "chosen" in done.stdout
    assert search("table", "own_trainer", cwd=elsewhere, **ascii_only).returncode == 0
    wrong = search("smoke", "name=größe", cwd=elsewhere, **ascii_only)
    assert wrong.returncode == 2
    check_told(wrong.stderr, "letters-not-readable")


def test_a_folder_that_has_been_removed_is_refused_in_words(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["list"]) == 2
    check_told(capsys.readouterr().err, "folder-gone")
    monkeypatch.setattr(sys, "argv", ["knobwise"])
    with pytest.raises(SystemExit, match="2"):
        main_module.console()


def test_a_reader_that_goes_away_does_not_end_the_search(elsewhere):
    program = subprocess.Popen(
        [sys.executable, "-m", "search", *TINY, *INLINE],
        cwd=elsewhere,
        env=environment(TOY_PAUSE="0"),
        stdout=subprocess.PIPE,
    )
    program.stdout.readline()
    program.stdout.close()
    assert program.wait(60) == 0
    assert (elsewhere / "results" / "own_trainer" / "summary.md").exists()


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (["own_trainer", "trainer._target_=nowhere.train"], ("trainer._target_", "'nowhere.train'", "No module named")),
        (["own_trainer", "trainer._target_=toys.trian"], ("trainer._target_", "'toys.trian'")),
        (["own_trainer", "trainer._target_=toys.HABITS"], ("trainer._target_", "'toys.HABITS'", "dict")),
        (["smoke", "optimizer._target_=torch.optim.SDG"], ("optimizer._target_", "'torch.optim.SDG'")),
        (["smoke", "+optimizer.nesterof=1"], ("optimizer._target_", "'torch.optim.SGD'", "nesterof")),
        (["smoke", "model._target_=os.getcwd"], ("model._target_", "'os.getcwd'", "nn.Module", "str")),
        (["smoke", "schedule._target_=a.b"], ("schedule._target_", "'a.b'")),
        (["smoke", "trainer.predict=a.b"], ("trainer.predict", "'a.b'")),
    ],
)  # fmt: skip
def test_code_that_cannot_be_imported_or_built_is_found_before_anything_is_written(
    words, data, elsewhere
):
    done = search(*words, "placement.slots=1", cwd=elsewhere)
    assert done.returncode == 2
    check_told(done.stderr, "dry-run-failed", *data)
    assert not list(elsewhere.iterdir())


def test_trainings_without_a_value_end_with_1_and_what_happened(elsewhere):
    words = [*TINY, "seeds=1"]
    steady = search(*words, "name=sound", cwd=elsewhere, TOY_PAUSE="0")
    assert steady.returncode == 0, steady.stderr
    best = elsewhere / "results" / "sound" / "best.yaml"
    best.write_text(best.read_text().replace("toys.steady", "toys.broken"))
    failed = search("train", str(best), "name=again", cwd=elsewhere)
    assert failed.returncode == 1
    check_told(failed.stderr, "training-gave-no-value", "again", "no luck (toys.py:", "logs/0.log")
    diverged = search(*words, *INLINE, "trainer._target_=toys.nan", "name=none", cwd=elsewhere)
    assert diverged.returncode == 1
    check_told(diverged.stderr, "nothing-has-won")
    assert set(trials(elsewhere / "results" / "none").state) == {"infeasible"}
    assert not (elsewhere / "results" / "none" / "best.yaml").exists()


def test_a_promise_that_is_no_number_is_refused_before_anything_is_trained(smoke, capsys):
    path = smoke / "results" / "smoke" / "best.yaml"
    sound = path.read_text()
    for line, code in (
        ("expected: about 0.9", "expected-not-a-number"),
        ("contract: [1]", "contract-without-keys"),
    ):
        path.write_text(
            re.sub(rf"(?ms)^{line.partition(':')[0]}: ?.*?\n(?=\w|\Z)", f"{line}\n", sound)
        )
        assert main(["train", str(path)]) == 2
        check_told(capsys.readouterr().err, code, "best.yaml")
    for text, code in (
        ("", "test-needs-predict"),
        ("trainer: {command: [train.py]}", "program-keeps-its-weights"),
    ):
        path.write_text(text)
        assert main(["test", "smoke"]) == 2
        check_told(capsys.readouterr().err, code)
    assert [each.name for each in (smoke / "results").iterdir()] == ["smoke"]


def test_any_trial_is_exported_and_trains_again_to_its_own_value(smoke, capsys):
    rows = pd.read_csv(smoke / "results" / "smoke" / "trials.csv", index_col="trial")
    best = yaml.safe_load((smoke / "results" / "smoke" / "best.yaml").read_text())
    others = rows[rows["optimizer.lr"] != best["optimizer"]["lr"]]
    trial, diverged = (others.index[others.state == of][0] for of in ("complete", "infeasible"))
    assert main(["export", "smoke", "--trial", str(diverged), "--to", "none.yaml"]) == 0
    assert yaml.safe_load((smoke / "none.yaml").read_text())["expected"] is None
    assert main(["export", "smoke", "--trial", str(trial), "--to", "one.yaml"]) == 0
    config = yaml.safe_load((smoke / "one.yaml").read_text())
    row = rows.loc[trial]
    told = (config["optimizer"]["lr"], config["seed"], config["expected"])
    assert told == (row["optimizer.lr"], row.seed, row.value)
    assert search("train", "one.yaml", "name=again", cwd=smoke).returncode == 0
    again = pd.read_csv(smoke / "results" / "again" / "trials.csv")
    assert list(again.value) == [row.value]
    for words, code in (
        (["--trial", "99", "--to", "two.yaml"], "unknown-trial-to-export"),
        (["--trial", "1"], "trial-needs-file"),
    ):
        assert main(["export", "smoke", *words]) == 2
        check_told(capsys.readouterr().err, code)
    assert not (smoke / "two.yaml").exists()


def test_another_result_than_expected_is_told_and_exits_1(smoke):
    path = smoke / "results" / "smoke" / "best.yaml"
    text, checked = re.subn(r"(preflight:\s+mode:) .*", r"\1 'on'", path.read_text())
    path.write_text(re.sub(r"expected: .*", "expected: 0.123", text))
    done = search("train", str(path), cwd=smoke)
    assert done.returncode == 1
    assert checked == 1
    assert not (smoke / "results" / "smoke-train" / "preflight.json").exists()  # as its search did
    assert "expected: 0.123\n" in done.stdout
    assert "they differ, as they may on another device" in done.stdout


def test_a_config_of_other_data_is_not_compared(smoke):
    path = smoke / "results" / "smoke" / "best.yaml"
    path.write_text(
        path.read_text().replace("seed: 0\n    hash", "hash").replace("rows: 1797", "rows: 1796")
    )
    done = search("train", str(path), cwd=smoke)
    assert done.returncode == 2
    check_told(done.stderr, "contract-differs", "data.rows: 1796 there, 1797 now")
    assert not (smoke / "results" / "smoke-train").exists()


def test_tables_are_made_again_from_disk_without_torch(smoke):
    folder = smoke / "results" / "smoke"
    kept = {
        name: (folder / name).read_text()
        for name in ("trials.csv", "summary.csv", "summary.md", "decisions.jsonl")
    }
    curves = pd.read_parquet(folder / "curves.parquet")
    for name in (*kept, "lock"):
        (folder / name).unlink()
    blocker = smoke / "blocked" / "torch"
    blocker.mkdir(parents=True)
    (blocker / "__init__.py").write_text("raise ImportError('torch must not be needed')")
    done = search("table", "smoke", cwd=smoke, PYTHONPATH=str(blocker.parent))
    assert done.returncode == 0, done.stderr
    assert "optimizer.lr = 0.1, the baseline, stays" in done.stdout
    assert {name: (folder / name).read_text() for name in kept} == kept
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "curves.parquet"), curves)


CUT_OFF = """
import os
import signal
import sys

from search.__main__ import exit_with_main
from search.commands.support import open_test_set

def scores(*_):
    os.kill(os.getpid(), signal.SIGTERM)

if __name__ == "__main__":
    open_test_set._several = scores
    exit_with_main()
"""


def test_a_test_that_is_cut_off_names_the_command_that_opens_the_rows_once_more(smoke):
    (smoke / "cut_off.py").write_text(CUT_OFF)
    first = script(
        "cut_off.py", "test", str(smoke / "results" / "smoke"), "--unfinished", cwd=smoke
    )
    assert first.returncode == 130
    command = "python -m search test smoke --again --unfinished"
    check_told(first.stderr, "test-was-cut-off", command)
    again = search("test", "smoke", "--again", cwd=smoke)
    assert again.returncode == 0, again.stderr
    assert "accuracy unknown, since that test was cut off" in again.stdout


def test_the_test_set_is_opened_once_and_the_ledger_says_so(smoke):
    ledger = smoke / "results" / "smoke" / "test_ledger.jsonl"
    first = search("test", "smoke", cwd=smoke)
    assert first.returncode == 0, first.stderr
    assert re.search(
        r"test accuracy: 0\.\d{1,4} on 540 rows \(validation: 0\.\d{1,4}\)", first.stdout
    )
    before = ledger.read_text()
    second = search("test", "smoke", cwd=smoke)
    assert second.returncode == 2
    check_told(second.stderr, "test-set-was-opened", "P13", "--again")
    assert re.search(
        r"  20\d\d-\d\d-\d\d \d\d:\d\d \+\d{4} by smoke: accuracy 0\.\d{1,4}\n", second.stderr
    )
    assert ledger.read_text() == before
    shutil.copytree(smoke / "results" / "smoke", smoke / "results" / "twin")  # of one contract
    for name in ("test_ledger.jsonl",):
        (smoke / "results" / "twin" / name).unlink()
    twin = search("test", "twin", cwd=smoke)
    assert twin.returncode == 2
    check_told(twin.stderr, "test-set-was-opened", "by smoke: accuracy")
    again = search("test", "smoke", "--again", cwd=smoke)
    assert again.returncode == 0
    assert re.search(
        r"these rows were seen before:\n  20[-\d: +]+ by smoke: accuracy 0\.\d+\nthis is opening 2",
        again.stdout,
    )
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [record["opening"] for record in records] == [1, 2]
    assert records[0]["score"] == records[1]["score"] > 0.9
    best = smoke / "results" / "smoke" / "best.yaml"
    outputs, before = ("predictions", "probabilities", "labels", "'accuracy'"), ledger.read_text()
    for name, code, told in (
        ("idle", "predict-returns-no-outputs", outputs),
        ("too_few_rows", "predict-returns-no-outputs", ("252",)),
        ("other_classes", "predict-knows-nothing", ("0.1032",)),
    ):
        words = best.read_text().replace("predict: trainers.stock.predict", f"predict: toys.{name}")
        (kept := best.with_suffix(".kept")).write_text(best.read_text())
        best.write_text(words)
        broken = search("test", "smoke", "--again", cwd=smoke)
        kept.replace(best)
        assert broken.returncode == 1
        check_told(broken.stderr, code, "trainer.predict", f"toys.{name}", "not opened", *told)
    assert ledger.read_text() == before
    (smoke / "results" / "smoke" / "best" / "weights.safetensors").unlink()
    told = search("test", "smoke", "--again", cwd=smoke).stderr
    check_told(told, "exported-files-missing", "weights.safetensors", "python -m search train")


def test_a_trainer_without_predict_cannot_be_tested_and_says_so(elsewhere):
    search(*TINY, "model.width=8", cwd=elsewhere, TOY_PAUSE="0")
    weights = elsewhere / "results" / "own_trainer" / "best" / "weights.safetensors"
    assert weights.exists()
    done = search("test", "own_trainer", cwd=elsewhere)
    assert done.returncode == 2
    check_told(
        done.stderr, "test-needs-predict", "trainer.predict", "results/own_trainer/best.yaml"
    )
    path = elsewhere / "results" / "own_trainer" / "best.yaml"
    path.write_text(path.read_text().replace("predict: null", "predict: toys.idle"))
    named = search("test", "own_trainer", cwd=elsewhere)
    # the one it was told is asked; outputs could not be scored
    check_told(named.stderr, "predict-returns-no-outputs", "with 'accuracy', as no data.labels")


def test_plan_tells_trials_knobs_and_time_and_leaves_nothing(elsewhere):
    done = search("plan", "lr_sweep", cwd=elsewhere)
    assert "at an edge, at most 2 times (P2)" in done.stdout
    assert "then 4 values beside the best, once (R30)" in done.stdout
    assert done.returncode == 0, done.stderr
    assert "39 trials to run, 0 done already, up to 50 epochs each" in done.stdout
    assert "values of optimizer.lr: 0.1, 0.0001, 0.000215" in done.stdout
    assert "then further seeds of the baseline and its rivals, up to 10 each" in done.stdout
    assert re.search(
        r"one epoch takes 0\.0\d+ s here: these trials at most about (\d+ min )?\d+ s, less where trials stop early",
        done.stdout,
    )
    assert list(elsewhere.iterdir()) == []


def test_programs_begin_anew_with_each_trial_and_other_trainers_with_each_worker():
    measured = Measured(startup=10.0, epoch=1.0, per_trial=True)
    assert measured.search(epochs=[3, 3, 3], slots=2) == 2 * (10 + 3)
    assert replace(measured, per_trial=False).search(epochs=[3, 3, 3], slots=2) == 10 + 2 * 3


def test_knobs_by_which_a_trial_is_dearer_than_the_measured_baseline_are_named():
    assert dearer_knobs(tune_plan("space=[lr,epochs_range,batch_size,width,dropout]")) == (
        "trainer.epochs up to 200, trainer.batch_size down to 8, model.width up to 512"
    )
    cheaper = ("trainer.epochs=200", "trainer.batch_size=8", "model.width=512")
    assert dearer_knobs(tune_plan("space=[lr,epochs_range,batch_size,width]", *cheaper)) == ""
    own = ["trainer._target_=mine.train", "data.rows=400", "trainer.epochs=3", "+my.bs=64"]
    own += ["knob.my.hidden_dim=int(log(4,64))", "knob.my.bs=int(log(16,256))", "+my.hidden_dim=8"]
    own += ["knob.trainer.epochs=int(interval(3,20))", "knob.my.lr=log(1e-4,1)"]
    named = "my.hidden_dim up to 64, my.bs down to 16, trainer.epochs up to 20"
    assert dearer_knobs(tune_plan(*own)) == named


def test_plan_of_epochs_as_a_knob_counts_each_trials_own_epochs(elsewhere):
    words = ("epochs_sweep", "seeds=1", "placement.slots=1")
    done = search("plan", *words, "--json", cwd=elsewhere)
    told = json.loads(done.stdout)
    assert told["epochs"] == 200
    assert told["trials_missing"] == 5
    start = told["seconds_at_most"] - (10 + 20 + 50 + 100 + 200) * told["epoch_seconds"]
    assert start > -1e-6, "what comes before the first epoch is the only rest"
    joint = search("plan", "joint", "knob.trainer.epochs=range(5,40)", "--json", cwd=elsewhere)
    assert json.loads(joint.stdout)["epochs"] == 50, "the baseline's, which is more"


def test_plan_of_a_training_that_cannot_run_shows_the_logs_end(elsewhere):
    done = search("plan", "own_trainer", "trainer._target_=toys.broken", cwd=elsewhere)
    assert done.returncode == 1
    reason = "RuntimeError: no luck", 'raise RuntimeError("no luck")'
    check_told(done.stderr, "baseline-cannot-be-trained", *reason)


def test_plan_refuses_a_knob_without_effect(elsewhere):
    done = search("plan", "lr_sweep", "schedule=one_cycle", "schedule.max_lr=0.1", cwd=elsewhere)
    assert done.returncode == 2
    check_told(done.stderr, "knob-trains-alike", "space.optimizer.lr")
    linked = search("plan", "lr_sweep", "schedule=one_cycle", cwd=elsewhere)
    assert linked.returncode == 0, linked.stderr


def test_plan_takes_off_what_is_done(smoke):
    done = search("plan", "smoke", *INLINE, cwd=smoke)
    assert "0 trials to run, 4 done already, on 1 slot" in done.stdout
    assert (
        "smoke: done, 4 of 4 trials finished (3 complete, 1 infeasible)"
        in search("status", cwd=smoke).stdout
    )
    assert "no search in results/ yet" in search("status", cwd=smoke / "results" / "smoke").stdout


def test_the_dashboard_shows_the_search_and_cannot_change_it(smoke):
    journal = smoke / "results" / "smoke" / "journal.log"
    before = journal.read_bytes()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running("dashboard", "smoke", "--port", str(port), cwd=smoke):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _get(f"{url}/api/studies"), what="the dashboard")
        studies = json.loads(_get(f"{url}/api/studies"))
        assert [study["study_name"] for study in studies["study_summaries"]] == ["smoke"]
        delete = urllib.request.Request(
            f"{url}/api/studies/0",
            data=b"{}",
            method="DELETE",
            headers={"Content-Type": "application/json"},
        )
        assert _get(delete) == b""
        taken = search("dashboard", "smoke", "--port", str(port), cwd=smoke)
        assert taken.returncode == 2
        used = "Address already in use"
        check_told(taken.stderr, "port-is-taken", str(port), used, "--port")
    assert journal.read_bytes() == before


def _get(url) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read()
    except OSError:
        return b""


def test_a_folder_that_cannot_be_written_is_told(elsewhere):
    (elsewhere / "results").write_text("a file where a folder should be")
    done = search("smoke", *INLINE, cwd=elsewhere)
    assert done.returncode == 2
    check_told(done.stderr, "disk-refuses", "results_root=")
    assert re.search(r"results.*: (Not a directory|File exists)", done.stderr)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EIO, "x", "a"), ("disk-refuses", "a: Input/output error", "results_root=")),
        (OSError(errno.ENOSPC, "x", "a"), ("disk-is-full", "a: No space left on device")),
        (OSError("9 requested and 3 written"), ("disk-is-full", "p: No space left on device")),
        (OSError("of a library"), ("disk-refuses", "p: of a library", "results_root=")),
        (
            BlockingIOError(errno.EAGAIN, "x"),
            ("machine-limit-reached", "Resource temporarily unavailable", "ulimit -u"),
        ),
        (
            OSError(errno.EMFILE, "x", "a"),
            ("machine-limit-reached", "Too many open files", "ulimit -n", "placement.slots=1"),
        ),
    ],
)
def test_what_the_system_refuses_is_named(error, message):
    with raises(*message):
        raise disk_error(error, path="p")


def test_a_machine_that_lets_no_thread_begin_is_told(elsewhere):
    code = (
        "import sys, threading\n"
        "from search.__main__ import main\n"
        "start = threading.Thread.start\n"
        "def limited(self):\n"
        "    if self.name == 'slot 1': raise RuntimeError(\"can't start new thread\")\n"
        "    start(self)\n"
        "threading.Thread.start = limited\n"
        "sys.exit(main(['smoke', 'placement.slots=2']))\n"
    )
    done = script("-c", code, cwd=elsewhere, **{MARK: "limited"})
    assert done.returncode == 1
    check_told(done.stderr, "machine-limit-reached", "Resource temporarily unavailable")
    assert "Traceback" not in done.stderr
    assert not (elsewhere / "results" / "smoke" / "config.yaml").exists()
    wait_for(lambda: not marked("limited"))


def test_odd_settings_of_the_shell_change_no_search_or_are_named(elsewhere):
    (elsewhere / "mine.py").write_text("from toys import steady as train\n")
    words = [*TINY, "trainer._target_=mine.train", *INLINE, "seeds=1"]
    plain = search(*words, "name=plain", cwd=elsewhere, TOY_PAUSE="0")
    assert plain.returncode == 0, plain.stderr
    odd = search(*words, "report=on", "name=odd", cwd=elsewhere, MPLBACKEND="Qt4Agg", HOME="/nowhere", TMPDIR="/nowhere", TERM="", TZ="No/Where")  # fmt: skip
    assert odd.returncode == 0, odd.stderr
    tables = [steady(trials(elsewhere / "results" / name)) for name in ("plain", "odd")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert (elsewhere / "results" / "odd" / "sweep.svg").exists()
    safe = search(*words, "name=safe", cwd=elsewhere, PYTHONSAFEPATH="1")
    assert safe.returncode == 1
    check_told(safe.stderr, "machine-fault", "'mine.train'", "PYTHONSAFEPATH")
    home = search(*words, "name=home", 'results_root="~/all"', cwd=elsewhere, HOME=str(elsewhere))
    assert home.returncode == 0, home.stderr
    assert (elsewhere / "all" / "home" / "trials.csv").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("x.so: failed to map segment from shared object"),
    ],
)
def test_a_program_that_gets_no_memory_says_so(error, monkeypatch, capsys):
    def run(words, config_dir):
        raise error

    monkeypatch.setattr(main_module, "_run", run)
    assert main(["status"]) == 1
    check_told(capsys.readouterr().err, "machine-limit-reached", "memory", "ulimit -v")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
def test_a_disk_that_fills_up_while_running_ends_the_search_and_the_same_command_goes_on(elsewhere):
    search(*TINY, *INLINE, "name=calm", cwd=elsewhere, TOY_PAUSE="0")
    code = (
        "import os, sys, errno\n"
        "from search.storage import curves\n"
        "from search.__main__ import main\n"
        "whole, count = curves.CurveLog.append, [0]\n"
        "def append(self, record):\n"
        "    count[0] += 1\n"
        "    if count[0] > 25: raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'curves.jsonl')\n"
        "    whole(self, record)\n"
        "curves.CurveLog.append = append\n"
        f"sys.exit(main({TINY!r}))\n"
    )
    done = script("-c", code, cwd=elsewhere, TOY_PAUSE="0", **{MARK: "full"})
    assert done.returncode == 1
    check_told(done.stderr, "disk-is-full", "curves.jsonl", "No space left on device")
    assert not marked("full")
    again = search(*TINY, cwd=elsewhere, TOY_PAUSE="0")
    assert again.returncode == 0
    calm, resumed = (trials(elsewhere / "results" / name) for name in ("calm", "own_trainer"))
    assert steady(calm).equals(steady(resumed))
    assert set(re.findall(r"^\[\d+/(\d+)\]", again.stdout, re.MULTILINE)) == {
        str(len(calm))
    }  # counted from the first line on


def test_from_a_wheel_in_an_empty_folder_the_smoke_search_runs(elsewhere):
    """The wheel is built, unpacked elsewhere and put in front of the path: conf/ must travel with it."""
    source = elsewhere / "source"
    for path in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, source / path)
    build = "from hatchling.build import build_wheel; print(build_wheel('.'))"
    built = subprocess.run(
        [sys.executable, "-c", build], cwd=source, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    wheel = source / built.stdout.split()[-1]
    with zipfile.ZipFile(wheel) as file:
        file.extractall(elsewhere / "installed")
    shutil.rmtree(source)
    (elsewhere / "empty").mkdir()
    few = ["placement.slots=1", "rehearse=false"]  # a process of the search and a worker
    done = search("smoke", *few, cwd=elsewhere / "empty", PYTHONPATH=str(elsewhere / "installed"))
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "empty" / "results" / "smoke" / "best.yaml").exists()
    where = "import search; print(search.__file__)"
    env = environment(PYTHONPATH=str(elsewhere / "installed"))
    told = subprocess.run(
        [sys.executable, "-c", where],
        cwd=elsewhere / "empty",
        env=env,
        capture_output=True,
        text=True,
    )
    assert "installed" in told.stdout
    assert os.path.isdir(elsewhere / "installed" / "search" / "conf")
