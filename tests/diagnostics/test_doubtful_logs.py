"""What could be read as the losses of a training, and is not: each beside a twin that is read."""

import json

import numpy as np
import pytest
from refusals import raises

from search.diagnostics.logs.read import read_logs
from search.diagnostics.verdicts.rules import judge

TRAIN = [2.0 / epoch for epoch in range(1, 9)]
VAL = [2.2 / epoch for epoch in range(1, 9)]


def lines_of(form):
    """A line of this form per epoch."""
    losses = enumerate(zip(TRAIN, VAL, strict=True), start=1)
    return "".join(form.format(e=e, t=t, v=v) for e, (t, v) in losses)


def read_of(tmp_path, text, name="some.log", **options):
    (tmp_path / name).write_text(text)
    return read_logs(str(tmp_path / name), **options)


@pytest.mark.parametrize("share", ["val loss, {e}%", "val loss: {e}.5 %", "val loss {e}%|## |"])
def test_a_number_in_percent_is_no_loss_and_one_beside_a_share_is(share, tmp_path):
    (curves,) = read_of(
        tmp_path, lines_of(f"epoch {{e}}: loss={{t}}, {share}\n")
    ).trainings.values()
    assert (curves.held_out, curves.train.tolist()) == (False, TRAIN)
    beside = lines_of("epoch {e}: train loss={t}, val loss={v} {e}%|## |\n")
    (curves,) = read_of(tmp_path, beside).trainings.values()
    assert curves.val.tolist() == VAL


@pytest.mark.parametrize("name", ["test_loss.log", "run2-test-losses.txt", "TestLoss.csv"])
def test_no_loss_is_trains_in_a_file_of_test_losses_unless_it_says_so(name, tmp_path):
    text = "epoch,loss\n" + lines_of("{e},{t}\n")
    with raises("log-tells-not-of-train", name, "--columns train=loss"):
        read_of(tmp_path, text, name)
    (curves,) = read_of(tmp_path, text.replace("loss", "train_loss"), name).trainings.values()
    assert curves.train.tolist() == TRAIN
    for sound in ("latest_loss.csv", "test.csv", "test_run_loss.csv"):
        assert "train = loss" in read_of(tmp_path, text, sound).columns


@pytest.mark.parametrize("form", ["loss: {t}\n", '{{"sentence": "of {e} words", "loss": {t}}}\n'])
def test_a_loss_that_no_epoch_step_nor_set_tells_is_refused_and_one_of_them_is_enough(
    form, tmp_path
):
    text = lines_of(form)
    with raises("log-tells-not-of-train", "no epoch, step nor set", "--columns train=loss"):
        read_of(tmp_path, text)
    (chosen,) = read_of(tmp_path, text, columns={"train": "loss"}).trainings.values()
    assert chosen.train.tolist() == TRAIN
    stepped = form.replace("{{", '{{"step": {e}, ').replace("loss:", "step {e} loss:")
    for each in (text.replace("loss", "train_loss"), lines_of(stepped)):
        (curves,) = read_of(tmp_path, each).trainings.values()
        assert (curves.held_out, curves.train.tolist()) == (False, TRAIN)


def test_steps_of_one_whole_that_begin_anew_are_no_further_training(tmp_path):
    text = lines_of("step {e}/8: loss {t}\n")
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert (curves.at(curves.epochs[-1]), curves.train.tolist()) == ("step 8", TRAIN)
    with raises("log-epochs-do-not-rise", "1 after 8"):  # of a second epoch, or of a training
        read_of(tmp_path, text + text)
    for plain in (text + text.replace("/8", "/9"), 2 * text.replace("/8", "")):
        assert len(read_of(tmp_path, plain).trainings) == 2
    told = "".join(f"epoch {e}\n{text}" for e in range(1, 5))
    (curves,) = read_of(tmp_path, told).trainings.values()
    assert curves.epochs.tolist() == [1, 2, 3, 4]


def test_only_a_training_that_gives_up_less_than_it_keeps_is_taken_up_again(tmp_path):
    def rows(*ranges):
        return "epoch,loss\n" + "".join(f"{e},{2 / (e + 1)}\n" for own in ranges for e in own)

    log = read_of(tmp_path, rows(range(1, 11), range(6, 15)))
    (curves,) = log.trainings.values()
    assert ("taken up again from epoch 6" in log.columns, len(curves.epochs)) == (True, 14)
    pieces = (range(100, 105), range(900, 905), range(103, 108))  # of two trainings
    for other in ((range(1, 11), range(3, 15)), pieces):
        with raises("log-epochs-do-not-rise", f"{other[-1][0]} after {other[-2][-1]}"):
            read_of(tmp_path, rows(*other))


def test_a_heading_of_evaluation_ends_where_training_tells_its_next_step(tmp_path):
    form = "step {e}0 - loss: {t}\nstep {e}5 - loss: {t}\n"
    for evaluated in ("", "accuracy: 0.5\n"):
        text = lines_of(f"{form}Evaluating...\n{evaluated}")
        (curves,) = read_of(tmp_path, text).trainings.values()
        assert curves.train.tolist() == [loss for loss in TRAIN for _ in range(2)]
        assert (curves.held_out, curves.at(curves.epochs[-1])) == (False, "step 85")
    words = ("eta: 21:05:51", "eta: 1 day, 5:23:56")  # of lines that tell the same
    timed = "".join(f"{w} {line}\n" for w, line in zip(words, form.splitlines(), strict=True))
    timed = lines_of(f"{timed}Start validating\nValidation Result: 0.5\n")
    (curves,) = read_of(tmp_path, timed).trainings.values()
    assert (curves.held_out, len(curves.train)) == (False, 16)
    own = lines_of(form + "Evaluating...\nstep 1 - loss: 9.5\nstep 90 - loss: 9.5\n")
    with raises("log-epochs-do-not-rise", "1 after 15"):  # evaluation's steps
        read_of(tmp_path, own)
    unnamed = lines_of("Epoch {e}\nstep 10 - loss: {t}\nEvaluating...\nstep 10 - loss: {v}\n")
    (curves,) = read_of(tmp_path, unnamed).trainings.values()
    assert (curves.train.tolist(), curves.val.tolist()) == (TRAIN, VAL)


def test_the_mean_loss_that_a_trainer_tells_behind_all_epochs_is_no_loss_of_an_epoch(tmp_path):
    steps = lines_of("{{'loss': {t}, 'epoch': {e}.0}}\n{{'eval_loss': {v}, 'epoch': {e}.0}}\n")
    end = "{'train_runtime': 522.4, 'train_loss': 13.1, 'epoch': 8.0}\n"
    for text in (steps + end, end.replace("8.0", "1.0") + steps + end):  # of one phase, of two
        (curves,) = read_of(tmp_path, text).trainings.values()
        assert (curves.train.tolist(), curves.val.tolist()) == (TRAIN, VAL)
    (alone,) = read_of(tmp_path, end + end.replace("8.0", "9.0")).trainings.values()
    assert alone.train.tolist() == [13.1, 13.1]


def test_a_total_written_as_one_word_is_the_loss_and_lines_of_no_fold_are_none(tmp_path):
    text = lines_of("[Fold 1 Ep {e}] TotalLoss: {t}, BoxLoss: 9.5\n")
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert curves.train.tolist() == TRAIN
    rows = "fold,epoch,TotalLoss,accuracy\n" + lines_of("1,{e},{t},\n") + ",8,,0.5\n"
    assert list(read_of(tmp_path, rows).trainings) == ["1"]


def test_of_averages_so_far_the_last_of_an_epoch_counts(tmp_path):
    text = lines_of(
        "Epoch {e}, Step 5, avg loss so far is 9.5\nEpoch {e}, Step 9, avg loss so far is {t}\n"
    )
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert curves.train.tolist() == TRAIN
    (mean,) = read_of(tmp_path, text.replace("so far ", "")).trainings.values()
    assert mean.train.tolist() == [(9.5 + loss) / 2 for loss in TRAIN]


def test_options_of_commands_are_no_losses_and_a_diary_of_ends_is_no_training(tmp_path):
    command = "python train.py --model net --loss 2 --epoch 40\n"
    diary = "".join(
        f"{command}Result:\n  Epoch 39: train_loss={t} valid_loss={v}\n\n"
        for t, v in zip(TRAIN, VAL, strict=True)
    )
    with raises("log-lines-are-results", "epoch 39 8 times"):
        read_of(tmp_path, diary)
    sound = command + lines_of("Epoch {e}: train_loss={t} valid_loss={v}\n")
    (curves,) = read_of(tmp_path, sound).trainings.values()
    assert (curves.epochs.tolist(), curves.train.tolist()) == ([1, 2, 3, 4, 5, 6, 7, 8], TRAIN)
    assert curves.val.tolist() == VAL


def test_the_same_late_epoch_of_two_models_is_no_training_and_two_epochs_are(tmp_path):
    ends = (
        "2 layers:\nTrain Epoch 50 --- train loss: 0.05\n3 layers:\nTrain Epoch 50 --- train loss: "
    )
    ends += "0.01\n"
    with raises("log-lines-are-results", "epoch 50 2 times"):
        read_of(tmp_path, ends)
    (curves,) = read_of(tmp_path, ends.replace("50", "49", 1)).trainings.values()
    assert (curves.epochs.tolist(), curves.train.tolist()) == ([49, 50], [0.05, 0.01])
    batches = "".join(
        f"Train Epoch 50 [{at}/2] train loss: {t}\n" for at, t in ((1, 0.5), (2, 0.3))
    )
    assert len(read_of(tmp_path, batches).trainings) == 1


@pytest.mark.parametrize(
    "form", ["loss: {t} Epoch: {bar}\n", "Epoch: {bar} [00:01<00:02, loss={t}]\n"]
)
def test_a_bar_of_epochs_that_tells_a_loss_before_one_is_done_tells_the_one_that_runs(
    form, tmp_path
):
    def bar(done, loss):
        drawn = f"{100 * done // 8}%|{'#' * done}| {done}/8"
        return form.format(t=loss, bar=drawn) if loss else f"Epoch: {drawn}\n"

    runs = "".join(bar(at, t) + bar(at + 1, t) for at, t in enumerate(TRAIN))
    for text in (bar(0, None) + runs, "".join(bar(at, t) for at, t in enumerate(TRAIN, start=1))):
        (curves,) = read_of(tmp_path, text).trainings.values()
        assert (curves.epochs.tolist(), curves.train.tolist()) == (list(range(1, 9)), TRAIN)


def test_the_loss_that_a_line_tells_of_an_epoch_goes_before_the_last_batch_of_its_bar(tmp_path):
    bars = "".join(
        f"Epoch {{e}} [Train]: {50 * part}%|#| {part}/2 [00:01, loss={part}.5]\n" for part in (1, 2)
    )
    (curves,) = read_of(tmp_path, lines_of(bars + "Epoch {e}:\n Loss: {t}\n")).trainings.values()
    assert curves.train.tolist() == TRAIN
    (curves,) = read_of(tmp_path, lines_of(bars)).trainings.values()
    assert curves.train.tolist() == [2.5] * 8


def test_an_epoch_is_read_behind_a_mark_of_the_best_and_refused_where_its_name_is_not_read(
    tmp_path,
):
    losses = "{e}: train_loss={t} val_loss={v}\n"
    marked = lines_of("[NEW BEST] Epoch #" + losses).replace("[NEW BEST] ", "", 1)
    (curves,) = read_of(tmp_path, marked).trainings.values()
    assert (curves.epochs.tolist(), curves.train.tolist()) == (list(range(1, 9)), TRAIN)
    told = [f"Epoch {e}: train_loss={t} val_loss={t}\n" for e, t in enumerate(TRAIN, start=1)]
    best = [f"New best at: Epoch {e}: train_loss={t} val_loss={t}\n" for e, t in enumerate(TRAIN)]
    with raises("log-epochs-not-read", "3 of 8 that were not, as epoch 3", "line 3"):
        read_of(tmp_path, "".join((*told[:2], best[3], best[4], best[5], *told[5:])))
    (curves,) = read_of(tmp_path, "".join(told) + best[3]).trainings.values()
    assert curves.train.tolist() == TRAIN


@pytest.mark.parametrize("name", ["some.log", "some.csv", "some.jsonl"])
def test_averages_so_far_count_by_their_last_and_losses_of_batches_by_their_mean(name, tmp_path):
    form = {
        "some.log": "epoch: {e} batch: {b} / 40 loss: {t}\n",
        "some.csv": "{e},{b},{t}\n",
        "some.jsonl": '{{"epoch": {e}, "batch": {b}, "loss": {t}}}\n',
    }[name]
    header = "epoch,batch,loss\n" if name == "some.csv" else ""
    batches = np.random.default_rng(7).normal(1, 0.2, (5, 40)) * np.array(TRAIN[:5])[:, None]
    averages = np.cumsum(batches, axis=1) / np.arange(1, 41)
    for losses, expected in ((averages, averages[:, -1]), (batches, batches.mean(axis=1))):
        lines = (
            form.format(e=e, b=b, t=t)
            for e, own in enumerate(losses, start=1)
            for b, t in enumerate(own, start=1)
        )
        log = read_of(tmp_path, header + "".join(lines), name)
        (curves,) = log.trainings.values()
        assert curves.epochs.tolist() == [1, 2, 3, 4, 5]
        assert curves.train == pytest.approx(expected)
        assert ("averages so far" in log.columns) == (losses is averages)


def test_an_epoch_that_a_checkpoint_names_with_leading_zeros_is_the_same_epoch(tmp_path):
    keras = (
        "Epoch {e}/8\n39/40 [==>.] - ETA: 0s - loss: 9.0\nEpoch 0000{e}: val_acc got no better\n"
    )
    keras += "40/40 [===] - 5s - loss: {t} - val_loss: {v}\n"
    (curves,) = read_of(tmp_path, lines_of(keras)).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert (curves.train.tolist(), curves.val.tolist()) == (TRAIN, VAL)


def test_a_loss_of_single_batches_that_shakes_alone_is_no_rate_too_high_and_both_shaking_is(
    tmp_path,
):
    noise = np.random.default_rng(1).normal(0, 0.5, (2, 30))
    falls = 2.0 - 0.03 * np.arange(30)
    for shares, too_high in (((1.0, 0.02), False), ((0.3, 1.0), True)):
        train, val = (falls * np.exp(s * own) for s, own in zip(shares, noise, strict=True))
        rows = (f"{e},{60 * e},{train[e]},{val[e]}\n" for e in range(30))
        log = read_of(tmp_path, "epoch,step,train_loss,val_loss\n" + "".join(rows), "metrics.csv")
        (curves,) = log.trainings.values()
        assert (judge(curves).name in ("lr_too_high", "lr_too_high_late")) == too_high
        assert curves.sampled != too_high


def csv_of(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def json_of(rows):
    header, *below = rows
    return "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in below)


@pytest.mark.parametrize("form", [csv_of, json_of])
def test_rows_that_nothing_counts_are_refused_where_losses_begin_anew_or_each_has_a_name(
    form, tmp_path
):
    header, rows = ("train_loss", "val_loss"), list(zip(TRAIN, VAL, strict=True))
    with raises("log-rows-begin-anew", "row 9"):
        read_of(tmp_path, form([header, *rows, *rows]), "two.log")
    spike = [*rows[:4], rows[0], *rows[4:]]  # which is gone in the next row
    for sound, name in ((rows, "one.log"), (spike, "spike.log")):
        (curves,) = read_of(tmp_path, form([header, *sound]), name).trainings.values()
        assert curves.train.tolist() == [train for train, _ in sound]
    counted = [(e, *row) for e, row in enumerate(rows * 2)]
    (curves,) = read_of(tmp_path, form([("epoch", *header), *counted])).trainings.values()
    assert len(curves.train) == 16
    models = ["mlp", "cnn", "vit", "gru", "lstm", "unet", "gcn", "gan"]
    named = [(model, *row) for model, row in zip(models, rows, strict=True)]
    with raises("log-lines-are-results", "a row each of mlp, cnn, vit"):
        read_of(tmp_path, form([("model", *header), *named]), "models.log")
    dated = [(f"2026-11-{e} 10:00", *row) for e, row in enumerate(rows, start=10)]
    (curves,) = read_of(tmp_path, form([("at", *header), *dated])).trainings.values()
    assert curves.val.tolist() == VAL


def test_a_shorter_list_of_validation_is_not_put_beside_the_first_epochs(tmp_path):
    history = {"train_loss": TRAIN, "val_loss": VAL[1::2]}
    with raises("log-lists-differ", "4 of validation in the first of 8 rows"):
        read_of(tmp_path, json.dumps(history), "history.json")
    history["val_loss"] = [v if e % 2 else None for e, v in enumerate(VAL)]
    (curves,) = read_of(tmp_path, json.dumps(history), "history.json").trainings.values()
    assert (curves.train.tolist(), curves.val.tolist()) == (TRAIN[1::2], VAL[1::2])
    history["val_loss"] = VAL[:7]  # broken off in an evaluation
    (curves,) = read_of(tmp_path, json.dumps(history), "history.json").trainings.values()
    assert curves.val.tolist() == VAL[:7]


def test_an_epoch_that_lines_tell_whole_with_other_losses_is_refused_and_one_told_again_is_read(
    tmp_path,
):
    line = "epoch {e}: train_loss={t:.4f} val_loss={v:.4f}\n"
    other = "epoch {e}: train_loss=9.5 val_loss=9.7\n"
    with raises("log-epoch-twice"):
        read_of(tmp_path, lines_of(line + other))
    for again in (line, "saved epoch {e}: train_loss={t:.3f} val_loss={v:.3f}\n"):
        (curves,) = read_of(tmp_path, lines_of(line + again)).trainings.values()
        assert curves.val == pytest.approx(VAL, rel=0.01)


def test_starts_that_were_broken_off_keep_their_epochs_though_these_come_again(tmp_path):
    line = "epoch {e}: train_loss={t:.4f} val_loss={v:.4f}\n"
    start = "".join(
        line.format(e=e, t=t, v=1.1 * t) for e, t in ((1, 2.05), (2, 1.4), (1, 1.98), (2, 1.2))
    )
    first, second, whole = read_of(tmp_path, start + lines_of(line)).trainings.values()
    assert (first.train.tolist(), second.train.tolist()) == ([2.05, 1.4], [1.98, 1.2])
    assert first.val == pytest.approx([2.255, 1.54])
    assert whole.val == pytest.approx(VAL, abs=1e-4)


def test_what_is_made_of_losses_is_no_loss(tmp_path):
    with raises("log-lacks-losses"):
        read_of(tmp_path, "epoch,delta_loss,acc\n" + lines_of("{e},{t},0.5\n"), "some.csv")
    text = "epoch,loss_std,loss\n" + lines_of("{e},0.1,{t}\n")
    (curves,) = read_of(tmp_path, text, "some.csv").trainings.values()
    assert curves.train.tolist() == TRAIN
