"""Logs of several programs one behind the other, and what stands at the end of a log."""

from itertools import permutations

import pytest
from refusals import raises

from search.diagnostics.logs.read import read_logs

FIRST = [(e, round(2.0 / e, 4), round(2.2 / e, 4)) for e in range(1, 9)]
OTHER = [(e, round(6.0 / e, 4), round(6.6 / e, 4)) for e in range(1, 9)]
FORMS = {
    "bars": "Epoch {e}/8\n10/10 [====] - 1s 5ms/step - loss: {t} - val_loss: {v}\n",
    "lines": "epoch {e}: train_loss={t} val_loss={v}\n",
    "loss": "Epoch [{e}/8], Loss: {t}, Val Loss: {v}\n",
    "apart": "Epoch {e}\nstep 10, Loss: {t}\nValidation loss: {v}\n",
    "steps": "step {e}00: train loss {t}, val loss {v}\n",
    "records": "{{'loss': {t}, 'epoch': {e}.0}}\n{{'eval_loss': {v}, 'epoch': {e}.0}}\n",
    "below": "train loss: {t}\nval loss: {v}\nEpoch {e} done\n",
    "rounds": "[{e}]\ttrain-logloss:{t}\tval-logloss:{v}\n",
}


def text_of(form, losses):
    return "".join(FORMS[form].format(e=e, t=t, v=v) for e, t, v in losses)


def read(tmp_path, text, name="some.log"):
    (tmp_path / name).write_text(text)
    return read_logs(str(tmp_path / name))


def numbers(log):
    return [[*zip(c.train, c.val, strict=True)] for c in log.trainings.values()]


@pytest.mark.parametrize(("first", "then"), [*permutations(FORMS, 2)])
def test_trainings_in_different_forms_are_each_read(first, then, tmp_path):
    log = read(tmp_path, text_of(first, FIRST) + "another begins\n" + text_of(then, OTHER))
    assert numbers(log) == [[(t, v) for _, t, v in losses] for losses in (FIRST, OTHER)]
    assert all(name.startswith("some.log: lines ") for name in log.trainings)


def test_a_part_that_is_no_training_is_named_with_its_lines(tmp_path):
    log = read(tmp_path, "".join(f"batch loss {n}\n" for n in range(4)) + text_of("lines", FIRST))
    assert numbers(log) == [[(t, v) for _, t, v in FIRST]]
    (left,) = log.left_out
    assert "lines 1 to 4" in left
    assert "no epoch, step nor set" in left


def test_a_training_whose_form_changes_while_it_goes_on_is_one(tmp_path):
    begun, rest = FIRST[:4], FIRST[4:]
    for first, then in (("lines", "loss"), ("bars", "lines"), ("steps", "steps")):
        log = read(tmp_path, text_of(first, begun) + text_of(then, rest))
        assert list(log.trainings) == ["some"]
    apart = "".join(f"Epoch {e}: loss {t}\n" for e, t, _ in FIRST)
    apart += "".join(f"Epoch {e}: val loss {v}\n" for e, _, v in FIRST)
    assert numbers(read(tmp_path, apart)) == [[(t, v) for _, t, v in FIRST]]


ENDS = {
    "bars": "3/3 [====] - 0s 5ms/step - loss: 9.0\n",
    "apart": "Final val loss: 9.0\n",
    "steps": "Average train loss: 9.0\nAverage val loss: 9.0\n",
    "below": "Restored epoch 5\nval loss: 9.0\n",
}


@pytest.mark.parametrize("form", ENDS)
def test_what_the_last_epoch_tells_once_more_at_the_end_is_left_out(form, tmp_path):
    log = read(tmp_path, text_of(form, FIRST) + ENDS[form])
    assert numbers(log) == [[(t, v) for _, t, v in FIRST]]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_last_row_that_evaluates_the_last_epoch_once_more_is_left_out_of_short_tables_too(
    count, tmp_path
):
    rows = "".join(f"{e},{t},{v}\n" for e, t, v in FIRST[:count])
    log = read(tmp_path, f"epoch,train_loss,val_loss\n{rows}{count},,9.0\n", "some.csv")
    assert numbers(log) == [[(t, v) for _, t, v in FIRST[:count]]]


def test_of_several_validations_in_each_epoch_the_last_counts_in_the_last_epoch_too(tmp_path):
    lines = "".join(
        f"Epoch {e}\nstep 10, Loss: {t}\nVal loss: 9.0\nVal loss: {v}\n" for e, t, v in FIRST
    )
    assert numbers(read(tmp_path, lines)) == [[(t, v) for _, t, v in FIRST]]


@pytest.mark.parametrize("held", ["val", "Validation", "test"])
def test_a_column_whose_cells_are_sets_tells_of_which_the_rows_are_whatever_its_name(
    held, tmp_path
):
    rows = "".join(f"train,{e},{t}\n{held},{e},{v}\n" for e, t, v in FIRST)
    log = read(tmp_path, "rows of,epoch,loss\n" + rows, "some.csv")
    assert numbers(log) == [[(t, v) for _, t, v in FIRST]]
    with raises("log-epoch-twice", "another loss"):  # names that are no sets
        read(tmp_path, "rows of,epoch,loss\n" + rows.replace(held, "other"), "some.csv")


def test_a_history_is_of_epochs_and_a_file_of_another_name_is_not(tmp_path):
    rows = "loss,accuracy\n" + "".join(f"{t},0.5\n" for _, t, _ in FIRST)
    (curves,) = read(tmp_path, rows, "model-history.csv").trainings.values()
    assert (curves.held_out, curves.train.tolist()) == (False, [t for _, t, _ in FIRST])
    for name in ("train.csv", "losses.csv"):
        with raises("log-tells-not-of-train", "no epoch, step nor set"):
            read(tmp_path, rows, name)


def test_losses_of_best_models_so_far_in_chinese_are_none_of_each_epoch(tmp_path):
    lines = "".join(
        f"[Train] Epoch {e}: loss = {t}\n[Test] Epoch {e}: loss = {v}\n"
        + (f"当前最优模型 (Epoch {e}) | 验证集损失: {v}\n" if e % 2 else "")
        for e, t, v in FIRST
    )
    log = read(tmp_path, lines)
    assert "val = test_loss" in log.columns
    assert numbers(log) == [[(t, v) for _, t, v in FIRST]]


def test_costs_after_iterations_are_losses_of_steps(tmp_path):
    log = read(
        tmp_path, "".join(f"Cost after iteration {e}00: {t}\n" for e, t, _ in FIRST), "out.txt"
    )
    (curves,) = log.trainings.values()
    assert (curves.at(curves.epochs[-1]), len(curves.train)) == ("step 800", 8)
    named = "".join(f"epoch {e}: loss={t}\n" for e, t, _ in FIRST)
    with raises("log-tells-not-of-train", "whose name tells of validation"):
        read(tmp_path, named, "valresult.txt")


def test_an_epoch_that_is_over_ends_the_heading_of_its_evaluation(tmp_path):
    lines = "".join(
        f"Epoch {e} | Step 10/10 | Loss: 9.5\nEvaluation Results:\nLoss: {v}\n"
        f"Epoch {e} completed in 40.5s | Avg Loss: {t}\n"
        for e, t, v in FIRST
    )
    assert numbers(read(tmp_path, lines)) == [[(t, v) for _, t, v in FIRST]]


def test_a_bar_of_epochs_that_counts_from_none_is_no_epoch_of_the_bars_inside(tmp_path):
    inside = "50%|##   | 5/10 [00:01<00:02, 4.3batch/s, loss=9.5]\n"
    lines = "0epoch [00:00, ?epoch/s]\n" + "".join(
        f"{inside}Epoch {e}: \nloss={t}, \nval_loss={v}\n" for e, t, v in FIRST
    )
    assert numbers(read(tmp_path, lines)) == [[(t, v) for _, t, v in FIRST]]


def test_of_a_mean_beside_its_least_and_greatest_the_mean_is_the_loss(tmp_path):
    rows = "epoch,avg_loss,min_loss,max_loss\n" + "".join(f"{e},{t},0.1,{v}\n" for e, t, v in FIRST)
    assert "train = avg_loss, val = (none)" in read(tmp_path, rows, "some.csv").columns
    with raises("log-lacks-losses", "--columns"):
        read(tmp_path, rows.replace("max_loss", "cls_loss"), "some.csv")


def test_of_metrics_by_class_that_of_all_is_the_metric(tmp_path):
    rows = "epoch,train_loss,val_loss,val_cat_f1,val_dog_f1,val_overall_f1\n"
    rows += "".join(f"{e},{t},{v},0.1,0.2,0.3\n" for e, t, v in FIRST)
    assert "metric = val_overall_f1" in read(tmp_path, rows, "some.csv").columns
    assert "metric = val_cat_f1" in read(tmp_path, rows.replace("overall", "cow"), "a.csv").columns
