"""The doctor on a real search and on anyone's CSV: what it says, and how it refuses."""

import gzip
import importlib.util
import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from kit import INLINE, search, trials
from refusals import check_told, raises

from search.__main__ import main
from search.commands.support.reading import _mostly_out_of_patience
from search.diagnostics.logs.read import read_logs
from search.diagnostics.verdicts.rules import NEED_VALIDATION, Verdict, judge
from search.storage.layers import LayerLog, read_series
from search.storage.sealed import read_line

HEADER = "epoch,train_loss,val_loss,accuracy\n"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep with rates far too low, useful, and far too high, in a folder of its own."""
    place = tmp_path_factory.mktemp("swept")
    words = [
        "lr_sweep",
        *INLINE,
        "space.optimizer.lr={low: 1.0e-5, high: 1.0e3, scale: log, points: 3}",
        "seeds=2",
        "trainer.epochs=12",
    ]
    done = search(
        *words,
        "protocol.refine=0",
        "protocol.extend=0",
        "optimizer.lr=0.03",
        "trainer.patience=null",
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return place, done.stdout


def test_every_trial_has_its_verdict_in_the_tables_and_on_the_terminal(swept):
    place, shown = swept
    rows = pd.read_csv(
        place / "results" / "lr_sweep" / "trials.csv", keep_default_na=False
    )  # or the verdict `nan` is lost
    by_rate = rows.groupby("optimizer.lr").verdict.agg(set)
    assert by_rate[1e-5] == {"lr_too_low"}
    assert by_rate[1e3] <= {"lr_too_high", "nan", "exploding"}
    assert not by_rate[0.03] & {"lr_too_low", "lr_too_high", "nan"}
    assert "2 lr_too_low" in shown
    assert "the curves of trial 0, the winner's first seed: " in shown
    told = (place / "results" / "lr_sweep" / "summary.md").read_text()
    assert "| verdict |" in told
    assert "the curves of trial 0" in told
    assert (
        pd.read_csv(place / "results" / "lr_sweep" / "summary.csv").verdict.tolist()[0]
        == "lr_too_low"
    )


def test_a_search_is_told_by_verdict_and_a_trial_in_full(swept):
    place, _ = swept
    told = search("doctor", "lr_sweep", cwd=place)
    assert told.returncode == 0, told.stderr
    assert (
        "lr_too_low: if the rate cannot rise, train for longer: slow is not stuck "
        "(trainer.epochs: raise, R15a)" in told.stdout  # its rate was swept
    )
    rows = trials(place / "results" / "lr_sweep")
    low = int(rows[rows["optimizer.lr"] == 1e-5].trial.iloc[0])
    told = search("doctor", "lr_sweep", str(low), cwd=place)
    assert (
        told.stdout.splitlines()[0]
        == f"{low}  optimizer.lr=1e-05 seed {rows.seed[rows.trial == low].iloc[0]}  complete"
    )
    assert told.stdout.splitlines()[1].startswith(
        "lr_too_low: after 12 epochs train has come from 2."
    )


def test_a_train_loss_that_is_kept_afloat_is_not_read_as_a_trend(tmp_path):
    words = [
        "flood_sweep",
        "space.trainer.flood.choices=[null,0.5]",
        "seeds=1",
        "trainer.epochs=25",
        "trainer.patience=null",
    ]
    done = search(*words, *INLINE, "preflight=off", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(tmp_path / "results" / "flood_sweep").sort_values(
        "trainer.flood"
    )  # the one without comes last
    assert table.verdict.iloc[0] == "cannot_tell"
    assert table.verdict.iloc[1] != "cannot_tell"
    told = search("doctor", "flood_sweep", str(table.trial.iloc[0]), cwd=tmp_path).stdout
    assert "flooding holds the train loss at 0.5: its trend says nothing (R47)" in " ".join(
        told.split()
    )


def test_the_doctor_needs_no_torch(swept):
    place, _ = swept
    blocked = place / "blocked" / "torch"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('torch must not be needed')")
    told = search("doctor", "lr_sweep", cwd=place, PYTHONPATH=str(blocked.parent))
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], ("doctor-needs-one-source", "--csv", "--classes", "--constant")),
        (["lr_sweep", "999"], ("no-such-trial", "0 to 7", "999")),
        (["nothing"], ("unknown-search", "'nothing'")),
        (["--csv"], ("option-not-valid", "--csv")),
        (["--csv", "none.csv"], ("log-not-readable", "none.csv")),
        (["--csv", "none.csv", "--classes", "1"], ("option-not-valid", "--classes", "2", "1")),
        (["--csv", "none.csv", "--constant", "-1"], ("option-not-valid", "--constant", "-1")),
        (["--csv", "none.csv", "--colour", "red"], ("unknown-option", "'--colour'")),
        (["--csv", "none.csv", "--classes", "²"], ("option-not-valid", "--classes", "²")),
        (["--csv", "none.csv", "lr_sweep"], ("doctor-needs-one-source", "none.csv lr_sweep")),
        (["--classes", "3"], ("doctor-needs-one-source", "--classes 3")),
    ],
)
def test_a_wrong_command_is_refused(swept, words, message):
    told = search("doctor", *words, cwd=swept[0])
    assert told.returncode == 2
    check_told(told.stderr, *message)


# Layers


def test_series_by_layer_lie_in_a_file_of_their_own(swept):
    place, _ = swept
    rows = trials(place / "results" / "lr_sweep")
    good = int(rows[rows["optimizer.lr"] == 0.03].trial.iloc[0])
    lines = [
        json.loads(line)
        for line in (place / "results/lr_sweep/layers" / f"{good}.jsonl").read_text().splitlines()
    ]
    assert [line["epoch"] for line in lines] == list(range(13))
    assert set(lines[0]) == {"fold", "epoch", "series", "_crc"}
    series = [line["series"] for line in lines]
    assert set(series[0]) == {"dead_units", "confidence"}
    assert set(series[1]) == {"dead_units", "confidence", "grad_norm", "update_ratio", "distance"}
    assert sum(series[5]["confidence"].values()) == pytest.approx(1)
    assert set(series[1]["grad_norm"]) == set(series[1]["distance"])
    assert series[12]["confidence"]["0.9"] > series[0]["confidence"]["0.9"]  # R25


def test_a_torn_line_of_layers_is_cut_off_and_a_file_that_cannot_be_written_is_said_once(tmp_path):
    first, second = LayerLog(tmp_path / "layers"), LayerLog(tmp_path / "layers")
    first.add(3, {"epoch": 1, "series": {"a": {"x": math.nan}}})
    assert first.flush() == ""
    path = tmp_path / "layers" / "3.jsonl"
    with path.open("a") as file:
        file.write('{"epoch": 2, "ser')
    second.add(3, {"epoch": 2})
    assert second.flush() == second.flush() == ""
    assert [read_line(line) for line in path.read_bytes().splitlines()] == [
        {"epoch": 1, "series": {"a": {"x": None}}},
        {"epoch": 2},
    ]
    log = LayerLog(tmp_path / "sound")
    for epoch in (1, 2):
        log.add(0, {"epoch": epoch, "fold": 0, "series": {"a": {"x": 0.125}}})
    log.flush()
    written = tmp_path / "sound" / "0.jsonl"
    written.write_bytes(written.read_bytes().replace(b"0.125", b"0.725", 1))
    assert read_series(tmp_path / "sound", 0, "a") == {2: {"x": 0.125}}
    (tmp_path / "file").write_text("")
    blocked = LayerLog(tmp_path / "file")
    blocked.add(0, {})
    assert "exists" in blocked.flush()
    blocked.add(0, {})
    assert blocked.flush() == ""


# Anyone's curves


def read_csv(path, **settings):
    """The trainings of a log."""
    return read_logs(str(path), **settings).trainings


def written(tmp_path, text, name="curves.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def table(epochs=40, columns=("epoch", "train_loss", "val_loss", "accuracy"), separator=","):
    """Overfitting, by a formula."""
    rows = [separator.join(columns)]
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        numbers = (
            epoch,
            2.3 * np.exp(-6 * share),
            0.6 + 1.7 * np.exp(-9 * share) + share,
            0.9 - 0.3 * share,
        )
        rows.append(separator.join(f"{number:.6g}" for number in numbers))
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("columns", "separator"),
    [
        (("epoch", "train_loss", "val_loss", "accuracy"), ","),
        (("Epoch", "loss", "val_loss", "val_accuracy"), ","),
        (("epoch", "train/loss", "valid loss", "acc"), ";"),
        (("EPOCH", "Training Loss", "Validation Loss", "f1"), "\t"),
    ],
)
def test_columns_are_found_under_the_names_that_loggers_use(tmp_path, columns, separator):
    found = read_csv(written(tmp_path, table(columns=columns, separator=separator)), classes=0)
    verdict = judge(found["curves"])
    assert verdict.name == "overfitting"
    assert found["curves"].metric is not None


def test_rows_of_one_epoch_that_complete_each_other_are_one(tmp_path):
    text = "epoch,step,train_loss,val_loss\n" + "".join(
        f"{e},{9 * e},{2 / e},\n{e},{9 * e + 1},,{2.1 / e}\n" for e in range(1, 9)
    )
    (curves,) = read_csv(written(tmp_path, text), classes=0).values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.val[0] == 2.1
    twice = written(tmp_path, text.replace("5,45,", "5,44,1,\n5,45,"))  # steps that rise on
    assert read_csv(twice, classes=0)["curves"].train[4] == pytest.approx(0.7)
    begun = text.replace("val_loss\n", "val_loss\n,0,,\n")  # a rate told before the first epoch
    assert "epoch = step" in read_logs(str(written(tmp_path, begun, "version_0.csv"))).columns


def test_epochs_without_validation_are_left_out_and_nan_is_not_a_blank(tmp_path):
    text = HEADER + "1,2,2,0.1\n2,1.5,,\n3,1,nan,0.2\n"
    (curves,) = read_csv(written(tmp_path, text), classes=0).values()
    assert curves.epochs.tolist() == [1, 3]
    assert judge(curves).why == "the validation loss is not finite from epoch 3 on"


def test_nan_before_numbers_is_a_gap_and_a_quoted_line_break_is_no_row(tmp_path):
    text = (
        'epoch,train_loss,val_loss,note\n1,nan,2,"two\nlines"\n2,1.5,1.6,\n3,1.2,nan,\n4,1.0,1.2,\n'
    )
    (curves,) = read_csv(written(tmp_path, text), classes=0).values()
    assert curves.epochs.tolist() == [2, 4]


def test_steps_within_an_epoch_are_taken_together_and_a_plain_accuracy_beside_a_plain_loss_is_trains(
    tmp_path,
):
    rows = (
        "".join(f"{e},{s},{1 / e + s},,0.5\n" for e in range(1, 5) for s in (0, 1)) + "4,9,,0.7,\n"
    )
    (curves,) = read_csv(
        written(tmp_path, "epoch,step,train_loss,val_loss,acc\n" + rows), classes=0
    ).values()
    assert curves.train.tolist() == [
        pytest.approx(np.mean([1 / e + s for e in range(1, 5) for s in (0, 1)]))
    ]
    (curves,) = read_csv(
        written(tmp_path, table(columns=("epoch", "loss", "val_loss", "accuracy"))), classes=0
    ).values()
    assert curves.metric is None


FALL = [2.0 / epoch for epoch in range(1, 9)]  # of train; validation's is a tenth higher


def test_losses_in_parts_are_summed_where_both_sets_have_them(tmp_path):
    text = "epoch, train/box_loss, train/cls_loss, metrics/mAP50(B), val/box_loss, val/cls_loss\n"
    text += "".join(f"{e},{f / 2},{f / 2},0.5,{f},{f / 10}\n" for e, f in enumerate(FALL, 1))
    path = written(tmp_path, text)
    (curves,) = read_csv(path).values()
    assert curves.train == pytest.approx(FALL)
    assert curves.val == pytest.approx(np.multiply(FALL, 1.1))
    assert curves.metric[0] == 0.5
    columns = read_logs(str(path)).columns
    assert columns.startswith("train = train_box_loss + train_cls_loss, val = val_box_loss + val_c")


def test_a_log_of_train_alone_is_read_and_says_what_it_cannot_tell(tmp_path, capsys):
    falls = "".join(f"{10 * step},{2.3 * 0.9**step + 0.05 * (-1) ** step}\n" for step in range(40))
    path = written(tmp_path, "step,train_loss\n" + falls + "400,0.01\n")
    (curves,) = read_csv(path, classes=0).values()
    assert not curves.held_out
    verdict = judge(curves)
    assert verdict.name not in NEED_VALIDATION
    assert "validation" not in verdict.why
    assert main(["doctor", "--csv", str(path)]) == 0
    told = capsys.readouterr().out
    assert "without losses of validation: data_suspect, " in " ".join(told.split())
    assert main(["doctor", str(path)]) == 0  # a file is no search
    assert capsys.readouterr().out == told


def test_single_batches_of_train_alone_are_not_called_a_rate_too_high_because_they_shake(tmp_path):
    said = []
    for seed in range(20):
        dice = np.random.default_rng(seed)
        rows = "".join(f"{step},{2.3 + 0.45 * dice.normal()}\n" for step in range(50))
        (curves,) = read_csv(written(tmp_path, "step,loss\n" + rows), classes=0).values()
        said.append(judge(curves).name)
    assert sum(name not in ("cannot_tell", "still_learning") for name in said) <= 1, said


def test_trainings_written_into_one_file_one_behind_the_other_are_told_apart(tmp_path):
    one = "".join(f"{epoch},0.9,{1 / (epoch + 1)},0.9,{1.1 / (epoch + 1)}\n" for epoch in range(5))
    header = "epoch,accuracy,loss,val_accuracy,val_loss\n"
    trainings = read_csv(written(tmp_path, header + one + header + one), classes=0)
    assert list(trainings) == ["curves:1", "curves:2"]
    assert all(len(curves.epochs) == 5 for curves in trainings.values())
    parts = ["epoch,loss,val_loss"]  # the second one's first line tells of its whole first epoch
    parts += [f"{n / 4},{1 / n},{1.1 / n if n % 4 == 0 else ''}" for n in range(1, 17)]
    parts += [f"{n / 2},{1 / n},{1.1 / n if n % 2 == 0 else ''}" for n in range(2, 17)]
    trainings = read_csv(written(tmp_path, "\n".join(parts)), classes=0)
    assert [len(curves.epochs) for curves in trainings.values()] == [4, 8]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("Epoch,TrainLoss,ValLoss,ValAcc", "train = train_loss, val = val_loss, epoch = epoch, metric = val_acc"),
        ("epoch,total_loss,validation_total_loss,lr", "train = total_loss, val = validation_total_loss, epoch = epoch, metric = (none)"),
        (" epoch, train/box_loss, val/box_loss, metrics/precision, metrics/mAP_0.5:0.95",
         "train = train_box_loss, val = val_box_loss, epoch = epoch, metric = metrics_map_0_5_0_95"),
        ("epoch,train_reg_loss_step,train_reg_loss_epoch,val_reg_loss", "train = train_reg_loss_epoch, val = val_reg_loss, epoch = epoch, metric = (none); not read: train_reg_loss_step"),
        ("epoch,loss_tr,loss_va,va_acc", "train = tr_loss, val = va_loss, epoch = epoch, metric = va_acc"),
        ("train_loss,test_loss,test_acc1,epoch", "train = train_loss, val = test_loss, epoch = epoch, metric = test_acc1"),
    ],
)  # fmt: skip
def test_columns_are_read_as_other_frameworks_write_them(tmp_path, header, columns):
    width = header.count(",") + 1
    rows = "".join(",".join(f"{row + 1}" for _ in range(width)) + "\n" for row in range(4))
    assert read_logs(str(written(tmp_path, f"{header}\n{rows}"))).columns == columns


def test_rows_are_counted_where_there_is_no_epoch_and_steps_stand_for_it(tmp_path):
    rows = [f"{f},{1.1 * f}" for f in FALL]
    (curves,) = read_csv(written(tmp_path, "train_loss,val_loss\n" + "\n".join(rows))).values()
    assert curves.epochs.tolist() == [*range(1, 9)]
    text = "iter,train_loss,val_loss\n" + "\n".join(f"{50 * i},{row}" for i, row in enumerate(rows))
    (curves,) = read_csv(written(tmp_path, text)).values()
    assert curves.epochs.tolist() == [*range(0, 400, 50)]


def test_validation_twice_an_epoch_is_read_by_step_and_every_k_epochs_beside_its_own_train(
    tmp_path,
):
    rows = [f"{i // 2},{10 * i},{f},{1.1 * f}" for i, f in enumerate(FALL)]
    text = "epoch,step,train_loss,val_loss\n" + "\n".join(rows)
    (curves,) = read_csv(written(tmp_path, text)).values()
    assert curves.epochs.tolist() == [*range(0, 80, 10)]
    rows = [f"{e},{f},{1.1 * f if e % 2 == 0 else ''}" for e, f in enumerate(FALL, 1)]
    (curves,) = read_csv(written(tmp_path, "epoch,loss,val_loss\n" + "\n".join(rows))).values()
    assert (curves.epochs.tolist(), curves.train.tolist()) == ([2, 4, 6, 8], FALL[1::2])


@pytest.mark.parametrize("split", [False, True])
def test_train_and_validation_may_stand_in_blocks_of_rows(tmp_path, split):
    if split:
        text = "phase,epoch,loss\n" + "".join(
            f"{phase},{e},{times * f}\n"
            for phase, times in (("train", 1), ("valid", 1.1), ("test", 5))
            for e, f in enumerate(FALL, 1)
        )
    else:
        text = "epoch,train_loss,val_loss\n"
        text += "".join(f"{e},{f},\n" for e, f in enumerate(FALL, 1))
        text += "".join(f"{e},,{1.1 * f}\n" for e, f in enumerate(FALL, 1))
    (curves,) = read_csv(written(tmp_path, text)).values()
    assert curves.train.tolist() == FALL
    assert curves.val == pytest.approx(np.multiply(FALL, 1.1))


def trainer_state():
    """As a trainer keeps it: fractional epochs, and a total of train in the last record."""
    log = []
    for i, f in enumerate(FALL, 1):
        log.append({"epoch": i / 2, "loss": f, "learning_rate": 1e-3, "step": 10 * i})
        log.append({"epoch": i / 2, "eval_loss": 1.1 * f, "eval_accuracy": 0.5, "step": 10 * i})
    end = {"epoch": 4.0, "step": 80}
    log += [end | {"train_loss": 9}, end | {"eval_loss": 9}]  # and an evaluation of the best model
    return {"best_metric": None, "log_history": log}


@pytest.mark.parametrize("form", ["state", "lines", "gz", "torn"])
def test_a_trainers_json_is_read_and_a_nearly_empty_column_passed_over(tmp_path, form):
    state = trainer_state()
    lines = "\n".join(map(json.dumps, state["log_history"]))
    text = {"state": json.dumps(state), "torn": lines + '\n{"epoch": 4.5, "lo'}.get(form, lines)
    path = tmp_path / "log.json"
    path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    (curves,) = read_csv(path).values()
    assert curves.train.tolist() == FALL
    assert curves.epochs.tolist() == [i / 2 for i in range(1, 9)]
    assert (curves.val[-1], curves.metric[-1], curves.lr[0]) == (1.1 * FALL[-1], 0.5, 1e-3)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"train": {"mlogloss": FALL}, "eval": {"mlogloss": FALL}}),
        json.dumps({"training": {"multi_logloss": FALL}, "valid_1": {"multi_logloss": FALL}}),
        json.dumps({of: [{"loss": x, "loss_box": 9} for x in FALL] for of in ("train", "val")}),
        str({"loss": FALL, "part_loss": FALL, "val_loss": FALL}),
        json.dumps({"name": "a", "epochs": [{"epoch": n, "train": {"loss": x}, "validation": {"loss": x}} for n, x in enumerate(FALL)]}),
        "\n".join(json.dumps({"_step": 3 * n + k, "epoch": n, name: x}) for n, x in enumerate(FALL) for k, name in enumerate(("train/loss", "train/loss", "val/loss"))),
        json.dumps({name: {"steps": list(range(8)), "timestamps": ["2026-01-02"] * 8, "values": FALL} for name in ("loss", "val_loss")}),
        "Step,run-1 - train/loss,run-1 - train/loss__MIN,run-1 - train/loss__MAX,run-1 - val/loss,run-1 - val/loss__MIN,run-1 - val/loss__MAX\n"
        + "\n".join(f"{n},{x},{x},{x},{x},{x},{x}" for n, x in enumerate(FALL)),
    ],
    ids=["xgboost", "lightgbm", "rows by set", "printed", "nested rows", "wandb history", "sacred", "wandb export"],
)  # fmt: skip
def test_histories_by_set_and_exports_of_a_tracker_are_read(content, tmp_path):
    (curves,) = read_csv(written(tmp_path, content)).values()
    assert curves.train.tolist() == curves.val.tolist() == FALL
    assert curves.held_out


def test_a_history_of_lists_is_read(tmp_path):
    history = {"history": {"loss": FALL, "val_loss": FALL, "val_accuracy": [0.5] * 8}}
    (curves,) = read_csv(written(tmp_path, json.dumps(history))).values()
    assert curves.train.tolist() == FALL


def test_events_are_read_where_their_package_is_installed_else_asked_for(tmp_path):
    path = tmp_path / "events.out.tfevents.1.host"
    if importlib.util.find_spec("tensorboard") is None:
        path.write_bytes(b"")
        with raises("tensorboard-not-installed"):
            read_csv(path)
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path / "run") as writer:
        for step, f in enumerate(FALL):
            writer.add_scalar("loss/train", f, step)
            writer.add_scalar("loss/val", 1.1 * f, step)
    (curves,) = read_csv(tmp_path / "run").values()
    assert curves.train == pytest.approx(FALL)


def test_events_in_folders_of_their_own_are_one_log(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    from torch.utils.tensorboard import SummaryWriter

    for folder, share in (("train", 1.0), ("validation", 1.1)):
        with SummaryWriter(tmp_path / "two" / folder) as writer:
            for epoch, f in enumerate(FALL):
                writer.add_scalar("epoch_loss", share * f, epoch)
                writer.add_scalar("epoch_accuracy", 1 - share * f / 10, epoch)
    with SummaryWriter(tmp_path / "one") as writer:
        for epoch, f in enumerate(FALL):
            writer.add_scalars("loss", {"train": f, "val": 1.1 * f}, epoch)
            writer.add_scalar("Accuracy/val", 1 - f / 10, epoch)
    for name in ("one", "two"):
        (curves,) = read_csv(tmp_path / name).values()
        assert curves.train == pytest.approx(FALL)
        assert curves.val == pytest.approx([1.1 * f for f in FALL])
        assert curves.metric is not None
        assert curves.metric[0] == pytest.approx(1 - (1.1 if name == "two" else 1) * FALL[0] / 10)


def test_columns_chosen_by_hand_decide_and_foreign_ones_are_refused_with_what_exists(tmp_path):
    rows = [f"{e},{f},9,{1.1 * f},{e / 10}" for e, f in enumerate(FALL, 1)]
    path = written(tmp_path, "round,nll,loss,held out,score\n" + "\n".join(rows))
    chosen = {"train": "nll", "val": "held out", "epoch": "round", "metric": "score"}
    chosen["val"] = "Held Out"
    (curves,) = read_csv(path, columns=chosen).values()
    assert (curves.train.tolist(), curves.metric[0]) == (FALL, 0.1)
    with raises("log-lacks-chosen-column", "'nil'"):
        read_csv(path, columns={"train": "nil"})
    with raises("unknown-role-of-column", "'tran'"):
        read_csv(path, columns={"tran": "nll"})


def test_logs_of_a_pattern_are_told_together_as_a_search_is(tmp_path, monkeypatch, capsys):
    for run in range(6):
        place = tmp_path / "runs" / f"seed{run}"
        place.mkdir(parents=True)
        (place / "metrics.csv").write_text(table())
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--csv", "runs/*/metrics.csv", "--classes", "10"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "overfitting 6 seed0 seed1 seed2 seed3 seed4 seed5" in shown
    assert "together: 100 % of the better 5 trials were best in the first tenth" in shown
    assert "read train = train_loss, val = val_loss, epoch = epoch, metric = accuracy" in shown
    (tmp_path / "runs" / "seed5" / "again.csv").write_text(table())
    names = [f"seed{run}" for run in range(5)]
    for place in ("runs", "./runs"):
        trainings = read_logs(f"{place}/*/*.csv").trainings
        assert sorted(trainings) == [*names, "seed5/again", "seed5/metrics"]
    (tmp_path / "runs" / "seed5" / "again.log").write_text(table())
    ours = ["seed5/again.csv", "seed5/again.log", "seed5/metrics"]
    assert sorted(read_logs("runs/*/*").trainings) == [*names, *ours]
    (tmp_path / "runs" / "died" / "metrics.csv").parent.mkdir()
    (tmp_path / "runs" / "died" / "metrics.csv").write_text("epoch,train_loss,val_loss\n")
    assert main(["doctor", "--csv", "runs/*/metrics.csv"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "overfitting 6 seed0" in told
    assert "left out: runs/died/metrics.csv: needs a header" in told
    with raises("csv-needs-header-and-rows"):
        read_logs("runs/d*/metrics.csv")
    (tmp_path / "runs" / "died" / "metrics.csv").unlink()
    for place in tmp_path.glob("runs/*/metrics.csv"):  # a metric that never moves has no best epoch
        rows = [row.rpartition(",")[0] for row in table().splitlines()]
        place.write_text("\n".join([f"{rows[0]},accuracy", *(f"{row},0.0" for row in rows[1:])]))
    assert main(["doctor", "--csv", "runs/*/metrics.csv", "--classes", "10"]) == 0
    assert "together" not in capsys.readouterr().out


def test_a_column_of_trials_makes_several(tmp_path):
    text = "trial,epoch,train_loss,val_loss\n" + "".join(
        f"{name},{e},{2 / e},{2 / e}\n" for name in "ab" for e in range(1, 30)
    )
    path = written(tmp_path, text)
    for place in (path, f"{path.parent}/./{path.name}"):
        assert list(read_csv(place, classes=0)) == ["a", "b"]


def test_a_metric_that_is_an_error_is_better_when_lower(tmp_path):
    (curves,) = read_csv(
        written(tmp_path, table(columns=("epoch", "train_loss", "val_loss", "error"))), classes=0
    ).values()
    assert curves.sign == -1.0


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", ("csv-needs-header-and-rows",)),
        ("epoch,train_loss,val_loss\n", ("csv-needs-header-and-rows",)),
        (
            "epoch,train_loss,val_a_loss,val_b_loss\n1,2,3,4\n",
            ("log-lacks-losses", "val_loss", "valid_loss", "val_a_loss"),
        ),
        ("epoch,val_loss\n1,2\n", ("log-lacks-losses", "train_loss")),
        (HEADER + "1,2,3,4\n2,bad,3,4\n", ("log-cell-not-a-number", "train_loss", "'bad'")),
        (
            HEADER + "2,2,3,4\n1,1,3,4\n",
            ("log-epochs-do-not-rise",),
        ),
        (
            HEADER + "1,2,3,4\n1,2,3,4\n",
            ("log-epoch-twice", "train_loss"),
        ),
        (HEADER + ",2,3,4\n", ("log-row-lacks-epoch",)),
        (
            HEADER + "1,,3,\n2,2,,\n",
            ("log-lacks-numbers", "train_loss", "val_loss"),
        ),
        ("epoch,train_loss,val_loss\n1,2,inf-ish\n", ("log-cell-not-a-number", "val_loss")),
        ("epoch,train_loss,val_loss\ninf,nan,2\n", ("log-row-lacks-epoch",)),
        ("epoch,loss,loss,val_loss\n1,2,2,2\n", ("csv-column-twice",)),
        (HEADER + "1,2,3,4\n2,1,1,2,3\n", ("csv-row-too-long", "line 3", "5 cells", "4 names")),
        (
            'epoch,train_loss,val_loss\n1,2,"2\n' + "x" * 200_000 + "\n",
            ("csv-line-not-readable",),
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, match):
    with raises(*match):
        read_csv(written(tmp_path, text), classes=0)


@pytest.mark.parametrize(
    ("text", "name"),
    [(HEADER + "1,2,3,4\n", "cannot_tell"), (HEADER + "1,nan,nan,\n2,nan,nan,\n", "nan")],
)
def test_too_little_is_not_an_error(tmp_path, text, name):
    (curves,) = read_csv(written(tmp_path, text), classes=0).values()
    assert judge(curves).name == name


def test_what_a_constant_prediction_would_tell_is_asked_for_and_no_longer_training_advised(
    tmp_path, capsys
):
    rows = "".join(f"{e},{3.1 * math.exp(-e / 6):.4f},{2.7 + e / 60:.4f},0.3\n" for e in range(50))
    path = tmp_path / "log.csv"
    path.write_text(HEADER + rows)
    for words in ([], ["--json"]):
        assert main(["doctor", "--csv", str(path), *words]) == 0
        shown = capsys.readouterr().out
        assert "cannot_tell" in shown
        assert "--classes C" in shown
        assert "train for longer" not in shown
    path.write_text(HEADER + "".join(rows.splitlines(keepends=True)[:2]))
    assert main(["doctor", "--csv", str(path)]) == 0
    assert "train for longer" in capsys.readouterr().out  # two epochs, which more would tell


def test_without_classes_the_verdicts_that_cannot_be_told_are_asked_about(tmp_path, capsys):
    path = written(tmp_path, table())
    assert main(["doctor", "--csv", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "cannot be judged from these curves: data_suspect, dead, exploding, lr_drop_due, stuck;"
        in shown
    )
    for words in (["--classes", "10"], ["--constant", "2.3"]):
        assert main(["doctor", "--csv", str(path), *words]) == 0
        assert "cannot be told" not in capsys.readouterr().out


def test_a_file_is_told_in_full(tmp_path):
    written(tmp_path, table())
    told = search("doctor", "--csv", "curves.csv", "--classes", "10", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[0] == "curves"
    assert told.stdout.splitlines()[1].startswith("overfitting: validation has risen from 1.02")
    assert "which is on" not in told.stdout  # of a file, nobody knows what was on
    assert ", R34)" in told.stdout
    assert not (tmp_path / "results").exists()


BLOWN = """
def train(config, data, device, checkpoint):
    for epoch in range(1, 13):
        loss = 2899 + 235506 * 2.0 ** (1 - epoch)
        yield {"train_loss": loss, "val_loss": loss, "accuracy": 0.1}
"""


def test_a_trainers_own_blow_up_is_held_against_the_contracts_constant(tmp_path):
    (tmp_path / "blown.py").write_text(BLOWN)
    words = ["smoke", "trainer=own", "trainer._target_=blown.train", "preflight=off"]
    done = search(*words, "trainer.epochs=12", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    assert set(trials(folder).verdict) == {"lr_too_high"}


def test_in_a_table_more_epochs_are_no_advice_where_patience_ended_most_of_the_trials():
    def row(trial, epochs):
        spec = SimpleNamespace(trial=trial, knobs={})
        return SimpleNamespace(spec=spec, state="complete", epochs=epochs, reason="")

    plan = SimpleNamespace(limits=SimpleNamespace(patience=3), epochs_of=lambda knobs: 10)
    findings = SimpleNamespace(plan=plan, rows=[row(0, 6), row(1, 7), row(2, 10), row(3, 10)])
    names = ("still_learning", "still_learning", "still_learning", "overfitting")
    verdicts = {str(n): Verdict(name=name, why="") for n, name in enumerate(names)}
    assert _mostly_out_of_patience(verdicts, findings) == {"still_learning"}
    assert _mostly_out_of_patience(verdicts, None) == set()
