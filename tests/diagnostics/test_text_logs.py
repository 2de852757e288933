"""Text logs, as people's own loops and the usual frameworks print them, are read as curves."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from refusals import raises

from search.__main__ import main
from search.diagnostics.logs.read import read_logs
from search.diagnostics.logs.thinned import LARGE, MOST, stands_for, thinned
from search.diagnostics.verdicts.rules import judge

TRAIN = [2.0 / epoch for epoch in range(1, 9)]
VAL = [2.2 / epoch for epoch in range(1, 9)]
METRIC = [1 - 0.5 / epoch for epoch in range(1, 9)]
FORMS = {
    "plain": "epoch {e}: loss={t:.4f} val_loss={v:.4f} val_acc={m:.4f}\n",
    "slashes": "Epoch {e}/8 | Train Loss: {t:.4f} | Val Loss: {v:.4f} | Val Accuracy: {p:.2f}%\n",
    "logging": "2025-06-04 17:39:02,341 - INFO - Epoch [{e}/8], train_loss: {t:.4f}, "
    "valid_loss: {v:.4f}, valid_acc: {m:.4f}\n",
    "keras": "Epoch {e}/8\n  1/20 [>....] - ETA: 5s - loss: 9.0 - accuracy: 0.0\n"
    "20/20 [====] - 3s 7ms/step - loss: {t:.4f} - val_loss: {v:.4f} - val_accuracy: {m:.4f}\n",
    "keras 3": "Epoch {e}/8\n\x1b[1m 1/20\x1b[0m \x1b[37m━\x1b[0m 5s - accuracy: 0.0 - loss: 9.0"
    "\x08\x08\r\x1b[1m20/20\x1b[0m 3s 7ms/step - loss: {t:.4f} - val_accuracy: {m:.4f} - "
    "val_loss: {v:.4f}\n",
    "two lines": "Epoch {e}/8\n----------\ntrain Loss: {t:.4f} Acc: 0.5\n"
    "val Loss: {v:.4f} Acc: {m:.4f}\n\n",
    "bar": "Epoch {e}:  50%|##   | 1/2 [00:05<00:00, loss=9]\n"
    "Epoch {e}: 100%|#####| 2/2 [00:05<00:00, 4.2it/s, loss={t:.4f}, v_num=0, "
    "val_loss={v:.4f}, val_acc={m:.4f}]\n",
    "bar beside": "Epoch {e}/8 [Train]: 100%|##| 2/2 [00:05, loss=9.0]\n"
    "Epoch {e}/8 [Val]: 100%|##| 1/1 [00:05, loss=9.0]\n"
    "Epoch {e}: Train Loss: {t:.4f}, Val Loss: {v:.4f}, Val Acc: {m:.4f}\n",
    "bar goes on": "Epoch {e}/8\nIteration:  50%|# | 1/2 [00:05, loss=9.0]\n"
    "Evaluating: 100%|##| 1/1 [00:05]\nIteration: 100%|##| 2/2 [00:05, loss={t:.4f}]\n"
    "Eval results: loss {v:.4f}, acc {m:.4f}\n",
    "saved": "Epoch {e}/8 - Train Loss: {t:.4f}, Val Loss: {v:.4f}, Val F1: {m:.4f}\n"
    "  saved the best model (val_loss={v:.2f})\n",
    "batches first": "train --- Current batch:200/400  loss:[ 9.0]\n"
    "INFO : Epoch [{e}]/[8] \t Training Phase Loss: {t:.4f} \t Accuracy: 0.5\n"
    "val --- Current batch:200/400  loss:[ 9.0]\n"
    "INFO : Epoch [{e}]/[8] \t Validation Phase Loss: {v:.4f} \t Accuracy: {m:.4f}\n",
    "tabs": "INFO:root:\ttraining loss:\t{t:.6e}\nINFO:root:  validation loss:\t\t{v:.6e}\n"
    "INFO:root:  validation accuracy:\t\t{p:.2f} %\nINFO:root:Epoch {e}: took 49.819s\n",
    "so far": "Epoch {e}, Step 25, time 7.1 (s), avg loss so far is {t:.4f}\n"
    "Epoch {e}, val loss is 9.0\nEpoch {e}, val loss is {v:.4f}, val accuracy is {m:.4f}.\n",
    "writer": "12:00:00,1 - pkg.training.trainer - Epoch {e}/8\n12:00:00,2 - pkg.training.trainer - "
    "Validating\n12:00:00,3 - pkg.training.trainer - Batch 1/9: loss: 9.0 ||\n12:00:01 - INFO - "
    "pkg.training.trainer - TrainLoss: {t:.4f} ValLoss: {v:.4f} ValAcc: {m:.4f}\n",
    "Chinese": "加载验证集\nEpoch: {e} | Batch: 9 | Loss: 9.0\n开始验证\nLoss: 9.0\n✓ 保存最佳模型，验证准确率: 9.0\n"
    "Epoch {e} 完成 | 训练损失: {t:.4f} | 验证损失: {v:.4f} | 验证准确率: {m:.4f}\n",
    "Russian": "Эпоха: {e} | Train Loss: {t:.4f} | Val Loss: {v:.4f} | Val Acc: {m:.4f}\n",
    "commas": "epoch {e}, phase train, step {e}0, loss_train, {t:.4f}\n"
    "epoch {e}, phase valid, total step 9\nepoch {e} | val_accuracy: {m:.4f}\n"
    "epoch {e} | val_loss: {v:.4f}\n",
    "timm": "Train: {e} [   4/5 (100%)]  Loss: {t:.4f} ({t:.4f})  LR: 1.000e-02\n"
    "Test: [   0/0]  Loss: {v:.4f} ({v:.4f})  Acc@1: {m:.4f} ({m:.4f})\n"
    "*** Best metric: 1.0 (epoch 1)\n",
    "twice": "Epoch {e} loss: {t:.4f} val_loss: {v:.4f} val_acc: {m:.4f}\n" * 2,
    "share": "Train Epoch: {e} [0/600 (0%)]\tLoss: {t:.4f}\n\n"
    "Test set: Average loss: {v:.4f}, Accuracy: {k}/10000 ({p:.0f}%)\n",
}


def written(tmp_path, form):
    rows = enumerate(zip(TRAIN, VAL, METRIC, strict=True), start=1)
    text = "".join(
        form.format(e=e, t=t, v=v, m=m, p=100 * m, k=round(10000 * m)) for e, (t, v, m) in rows
    )
    path = tmp_path / "train.log"
    begin = "{'lr': 0.1}\nFound 4575 images of 10 classes.\nepochs: 8\nlr: 0.1\niterations: 90\n"
    begin += "Namespace(epoch=70, transfer_loss_weight=1.0, lr=0.1)\n"
    begin += "Epochs: 8, Learning Rate: 0.005, Samples/Epoch: 1000\n"
    path.write_text(f"{begin}{text}best epoch: 8\n")
    return str(path)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_text_log_is_read_as_its_numbers_say(tmp_path, form):
    (curves,) = read_logs(written(tmp_path, form)).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx(np.array(TRAIN), abs=1e-4)
    assert curves.val == pytest.approx(np.array(VAL), abs=1e-4)
    assert curves.metric == pytest.approx(np.array(METRIC), abs=1e-4)


def test_a_validation_loss_of_nothing_but_zeros_was_not_taken(tmp_path):
    path = written(tmp_path, "epoch {e} | train_loss: {t:.4f} | test_loss: 0.00000\n")
    (curves,) = read_logs(path).trainings.values()
    assert (curves.held_out, len(curves.train)) == (False, 8)


def test_the_only_loss_of_a_log_is_trains_whatever_its_name_but_in_a_file_of_validation(tmp_path):
    for step, form in (
        (1, "iteration {e}/ 8 | lm loss: {t:.6E} | loss scale: 1.0 |\n"),
        (
            1000,
            "[epoch: 0, iter:   {e},000, lr:(2e-4,)] l_pix: {t:.5f}\n# Validation # PSNR: 9.1\n",
        ),
        (1, "Loss at step {e}: tf.Tensor({t:.6f}, shape=(), dtype=float32)\n"),
        (1, "step {e} losses: [9.0, 9.1] loss: {t:.6f}\n"),
        (1, "loss of iteration {e} : {t:.6f}\n"),
        (1, "Valid MRR at step {e}: 0.1\nTraining average loss at step {e}: {t:.6f}\n"),
        (1000, "[00{e}000/50000] WMS | loss {t:.5f} | 3.11 it/s | ETA 2.9 min | batch 16\n"),
    ):
        path = written(tmp_path, form)
        (curves,) = read_logs(path).trainings.values()
        assert (curves.held_out, curves.train) == (False, pytest.approx(TRAIN, abs=1e-4))
        assert curves.epochs == pytest.approx(step * np.arange(1, 9))
        assert curves.at(curves.epochs[-1]) == f"step {8 * step}"
    table = "# step rmse_trn rmse_e_trn lr\n" + "".join(
        f"{e}00 {t} 9 1\n" for e, t in enumerate(TRAIN)
    )
    assert "train = trn_rmse" in read_of(tmp_path, table).columns
    (tmp_path / "validations.txt").write_text("Steps: 100 Loss: 9.1\nSteps: 200 Loss: 8.1\n" * 4)
    (tmp_path / "eval").mkdir()
    losses = "epoch,loss\n" + "".join(f"{e},{t}\n" for e, t in enumerate(TRAIN))
    for name in ("log.csv", "train_log.csv"):
        (tmp_path / "eval" / name).write_text(losses)
    assert "train = loss" in read_logs(str(tmp_path / "eval" / "train_log.csv")).columns
    for name in ("validations.txt", "eval/log.csv"):
        with raises("log-tells-not-of-train", "tells of validation", "--columns train=loss"):
            read_logs(str(tmp_path / name))
    with raises("log-lacks-losses", "avg_val_loss"):
        read_of(tmp_path, losses.replace("loss", "avg_val_loss"))
    for game in ("reward", "episode", "policy"):  # a policy's, which says little
        with raises("log-tells-not-of-train", f"beside {game}"):
            read_of(tmp_path, f"step 0 {game}: 5 loss: 0.1\nstep 0 {game}: 5 loss: 0.2\n")


def test_one_epoch_told_step_by_step_is_read_by_its_rows(tmp_path):
    for form, held_out in (
        ("Epoch 0 | Step {e}0/800 | Loss: {t:.4f} | LR: 3.27e-05\n", False),
        ("epoch : 0 [{e}/9] Train loss: {t:.5f},Valid loss: {v:.5f}, time : 43.05 lr : 1\n", True),
    ):
        (curves,) = read_logs(written(tmp_path, form)).trainings.values()
        assert curves.train == pytest.approx(np.array(TRAIN), abs=1e-4)
        assert curves.val == pytest.approx(VAL if held_out else TRAIN, abs=1e-4)
    short = "Epoch 1/2\nLoss: {t}\nEpoch 2/2\nLoss: {v}\n"  # eight trainings of two epochs
    assert len(read_logs(written_alone(tmp_path, short)).trainings) == 8


def test_rounds_of_boosting_get_no_advice_for_networks(tmp_path, capsys):
    form = "[{e}]\ttraining's multi_logloss: {t:.4f}\tvalid_1's multi_logloss: {m:.4f}\n"
    words = ["doctor", "--csv", written(tmp_path, form), "--classes", "3"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "an epoch is a round" in printed
    assert "overfitting" in printed
    assert "model." not in printed


def test_losses_that_are_told_at_steps_are_taken_together_by_epoch(tmp_path):
    form = "Epoch [{e}/8], Step [100/600], Loss: 9\nEpoch [{e}/8], Step [200/600], Loss: {t}\n"
    (curves,) = read_logs(written(tmp_path, form)).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx((9 + np.array(TRAIN)) / 2)


def test_where_there_are_no_epochs_steps_count_and_losses_told_together_are_compared(tmp_path):
    form = "iter {e}: loss 9.0, time 1.2ms\nstep {e}: train loss {t}, val loss {v}\nsaving\n"
    log = read_logs(written(tmp_path, form))
    (curves,) = log.trainings.values()
    assert log.columns.startswith("train = train_loss, val = val_loss, epoch = step")
    assert curves.train == pytest.approx(np.array(TRAIN))


def test_bars_that_name_no_epoch_are_counted(tmp_path):
    form = "  1%|  | 1/20 [00:05, loss=9]\r100%|##| 20/20 [00:05, loss={t}]\nvalidation loss: {v}\n"
    (curves,) = read_logs(written(tmp_path, form)).trainings.values()
    assert curves.train == pytest.approx(np.array(TRAIN))
    assert curves.val == pytest.approx(np.array(VAL))


def test_trainings_one_behind_the_other_are_told_apart_and_columns_may_be_chosen(tmp_path):
    form = "Fine-tune epoch {e}: objective {t}, held out {v}, loss 9\n"
    path = written(tmp_path, form)
    with open(path) as file:
        text = file.read()
    with open(path, "a") as file:
        file.write(text)
    chosen = {"train": "objective", "val": "held_out"}
    first, second = read_logs(path, columns=chosen).trainings.values()
    assert first.val.tolist() == second.val.tolist() == pytest.approx(VAL)
    apart = "Epoch {e}, train loss: {t}\nEpoch {e}, test loss: {v}\n"
    alone = "Epoch {e}, train loss: {t}\n"  # nothing of the one goes into the other's epochs
    for further, trainings in ((apart, 2), (alone, 1)):
        logs = [Path(written_alone(tmp_path, form)).read_text() for form in (apart, further)]
        log = read_of(tmp_path, "".join(logs))
        assert len(log.trainings) == trainings
        assert ("no epoch has both losses" in log.columns) == (trainings == 1)


def test_a_training_that_ended_before_its_first_epoch_is_left_out(tmp_path):
    form = "Epoch {e}/8\nloss: {t}\nspeed: {e}\n"
    path = written(tmp_path, form)
    with open(path, "a") as file:
        file.write("Epoch 1/8\nspeed: 3\n")
    (curves,) = read_logs(path).trainings.values()
    assert len(curves.epochs) == 8


def test_colours_of_a_terminal_are_no_part_of_a_tables_numbers(tmp_path):
    path = tmp_path / "printed.txt"
    rows = "".join(
        f"{e:7d}  \x1b[36m{t:.4f}\x1b[0m  \x1b[35m{v:.4f}\x1b[0m\n"
        for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True), start=1)
    )
    path.write_text(f"  epoch    train_loss    valid_loss\n-------  ------------  ------\n{rows}")
    (curves,) = read_logs(str(path)).trainings.values()
    assert curves.train == pytest.approx(np.array(TRAIN), abs=1e-4)
    assert curves.val == pytest.approx(np.array(VAL), abs=1e-4)


def test_a_record_without_its_epoch_belongs_to_the_last_one_unless_it_tells_a_loss_of_train(
    tmp_path,
):
    path = tmp_path / "scalars.json"
    pairs = [
        (f'{{"loss": {t}, "epoch": {e}, "step": {e}00}}\n', f'{{"accuracy": {m}, "step": {e}}}\n')
        for e, (t, m) in enumerate(zip(TRAIN, METRIC, strict=True), start=1)
    ]
    path.write_text("".join(first + second for first, second in pairs))
    (curves,) = read_logs(str(path), columns={"metric": "accuracy"}).trainings.values()
    assert curves.train == pytest.approx(np.array(TRAIN))
    assert curves.metric == pytest.approx(np.array(METRIC))
    path.write_text("".join(first + second.replace("accuracy", "loss") for first, second in pairs))
    with raises("log-row-lacks-epoch"):
        read_logs(str(path))


def test_a_column_without_a_name_that_is_empty_is_no_epoch_and_two_rates_are_no_clash(tmp_path):
    path = tmp_path / "log.tsv"
    rows = "".join(f"{t}\t{v}\t0.1\t0.1\t\n" for t, v in zip(TRAIN, VAL, strict=True))
    path.write_text("loss\tval_loss\tlr\tlearning_rate\t\n" + rows)
    log = read_logs(str(path))
    assert "epoch = (the rows, counted)" in log.columns


@pytest.mark.parametrize(
    "text",
    [
        "[2022-09-23 19:29:09,028][INFO] - start\n[2022-09-23 19:29:10,045][INFO] - end\n",
        "== Pipeline ==\nE  #  LOSS  SCORE\n0  0  2.1  0.1\n1  200  1.9  0.2\n2  400  1.8  0.3\n",
        "Loaded 11200 images.\nTraining a forest...\nAccuracy: 69.38%\nTraining trees ...\n",
        "NaN in val_loss at batch_idx=0\nNaN in loss at batch_idx=5\n" * 3,
        "== Iteration ==\nkl | vf_loss\n1 | 2\n1 | 2\n1 | 2\n" * 2,  # a table of each of them
    ],
)
def test_text_without_losses_is_refused_with_what_is_accepted(tmp_path, text):
    path = tmp_path / "train.log"
    path.write_text(text)
    with raises("file-holds-no-table", "train.log"):
        read_logs(str(path))


def test_a_table_in_markdown_is_read(tmp_path):
    path = tmp_path / "log.md"
    rows = "".join(
        f"| {e} | {t} | {v} |\n" for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True), start=1)
    )
    path.write_text(f"| Epoch | Train Loss | Val Loss |\n|---|:--:|---|\n{rows}")
    (curves,) = read_logs(str(path)).trainings.values()
    assert curves.val == pytest.approx(np.array(VAL))


def test_a_log_that_begins_late_does_not_say_how_far_train_has_come(tmp_path):
    path = tmp_path / "log.csv"
    for every, late in ((1, 0), (50, 15)):  # from epoch 16 on, and each fiftieth one
        losses = {e: (5 - 0.01 * e, 5.1 - 0.01 * e) for e in range(16, 40)}
        rows = "".join(f"{every * (e - late)},{t},{v}\n" for e, (t, v) in losses.items())
        path.write_text("epoch,train_loss,val_loss\n" + rows)
        (curves,) = read_logs(str(path)).trainings.values()
        assert judge(curves).name == "still_learning"


def test_validation_that_was_best_at_once_asks_for_a_scale_unless_its_metric_is_good(tmp_path):
    path = tmp_path / "log.csv"
    for metric, constant, name in (
        (0.1, None, "cannot_tell"),
        (0.1, 2.3, "data_suspect"),
        (0.9, None, "overfitting"),
    ):
        rows = "".join(f"{e},{t},{2.3 + 0.1 * e},{metric}\n" for e, t in enumerate(TRAIN, start=1))
        path.write_text("epoch,train_loss,val_loss,val_acc\n" + rows)
        (curves,) = read_logs(str(path), constant=constant).trainings.values()
        assert judge(curves).name == name


def test_a_plateau_near_where_a_log_begins_is_called_bad_beside_a_bad_metric_only(tmp_path):
    for metric, name in ((0.98, "cannot_tell"), ("", "cannot_tell"), (0.6, "underfitting")):
        rows = "".join(f"{e},{0.176 + 0.013 / e**2},0.15,{metric}\n" for e in range(1, 9))
        curves = _curves(tmp_path, f"epoch,train_loss,val_loss,val_acc\n{rows}")
        assert judge(curves).name == name


def _curves(tmp_path, text):
    path = tmp_path / "log.txt"
    path.write_text(text)
    (curves,) = read_logs(str(path)).trainings.values()
    return curves


@pytest.mark.parametrize(
    "form",
    [
        "{{'loss': {t:.4f}, 'grad_norm': nan, 'epoch': {e}.0}}\n{{'eval_loss': {v:.4f}, 'epoch': {e}.0}}\n",
        "{{'loss': '{t:.4f}', 'epoch': '{e}'}}\n 50%|##   | 1/2 [00:05<00:00]{{'eval_loss': '{v:.4f}', 'epoch': '{e}'}}\n",
        'epoch done {{"epoch": {e}, "train_loss": {t:.4f}, "val_loss": {v:.4f}, "best": true}}\n',
    ],
    ids=["dicts", "texts behind a bar", "json among text"],
)  # fmt: skip
def test_records_that_a_program_prints_among_other_text_are_read(tmp_path, form):
    rows = enumerate(zip(TRAIN, VAL, strict=True), start=1)
    text = "".join(form.format(e=e, t=t, v=v) for e, (t, v) in rows)
    curves = _curves(
        tmp_path,
        f"loading {{'a': 1}} …\nshape {{[1, 2]}}\n{text}{{'train_runtime': 3.1, 'epoch': 8.0}}\n",
    )
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx(np.array(TRAIN), abs=1e-4)
    assert curves.val == pytest.approx(np.array(VAL), abs=1e-4)


def test_parts_of_epochs_that_are_rounded_to_the_same_number_are_taken_together(tmp_path):
    form = (
        "{{'loss': {t}, 'lr': 0.1, 'epoch': 0.0{e}}}\n{{'loss': {v}, 'lr': 0.1, 'epoch': 0.0{e}}}\n"
    )
    (curves,) = read_logs(written_alone(tmp_path, form)).trainings.values()
    assert curves.epochs == pytest.approx(np.arange(1, 9) / 100)
    assert curves.train == pytest.approx(np.add(TRAIN, VAL) / 2)


@pytest.mark.parametrize(
    ("head", "row", "foot"),
    [
        ("┏━━━┳━━━┳━━━┓\n┃ epoch ┃ train loss ┃ val loss ┃\n┡━━━╇━━━╇━━━┩\n", "│ {e} │ {t:.4f} │ {v:.4f} │\n", "└───┴───┴───┘\n"),
        ("+---+---+---+\n| epoch | train_loss | val_loss |\n+===+===+===+\n", "| {e} | {t:.4f} | {v:.4f} |\n", "+---+---+---+\n"),
        ("epoch;train_loss;val_loss\n", "{e};{t:.4f};{v:.4f}\n", ""),
        ("Layer,Shape,Param\n_____\nwidth: 8\n,loss,val_loss\n", "{e},{t:.4f},{v:.4f}\n", "_____\nsaved.\n"),
        ("EPOCH\tTRAIN_LOSS\tDEV_LOSS\tTEST_LOSS\n", "{e}\t{t:.4f}\t\t{v:.4f}\t9\n", "9\t0.1"),
        ("", "epoch {e}: loss {t:.4f} val_loss {v:.4f}\n", ""),
    ],
    ids=["box", "ascii", "decimal comma", "below a summary", "a column without a name, and torn", "lines"],
)  # fmt: skip
def test_tables_are_read_however_they_are_drawn(tmp_path, head, row, foot):
    rows = enumerate(zip(TRAIN, VAL, strict=True), start=1)
    text = "".join(row.format(e=e, t=t, v=v) for e, (t, v) in rows)
    curves = _curves(tmp_path, head + (text if foot else text.replace(".", ",")) + foot)
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx(np.array(TRAIN), abs=1e-4)
    assert curves.val == pytest.approx(np.array(VAL), abs=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"loss,val_loss\n\0,1\n", ("log-not-utf8", "log.json")),
        (b"\x1f\x8b\x08\x00", ("log-not-readable", "log.json", ".gz")),
        (b"[]", ("json-needs-records", "log.json")),
        (b'{"loss": 1}\n{loss: 2}\n{"loss": 3}\n', ("json-line-not-readable", "log.json: line 2")),
    ],
)
def test_a_log_that_cannot_be_read_is_named_with_its_line(content, message, tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(content)
    with raises(*message):
        read_logs(str(path))


def test_events_without_a_scalar_are_named(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_text("note", "no loss here")
    with raises("events-hold-no-scalars", str(tmp_path / "run")):
        read_logs(str(tmp_path / "run"))


def read_of(tmp_path, text, **options):
    path = tmp_path / "some.log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_logs(str(path), **options)


def test_lines_below_a_heading_without_numbers_are_of_the_phase_that_it_names(tmp_path):
    epochs = zip(range(8), TRAIN, VAL, METRIC, strict=True)
    text = "".join(
        f"epoch: {e},  loss is: {t}, acc is: 0.5\nUserWarning: validation data are few\n"
        f"testing in eval mode……\nepoch: {e},  loss is: {v}, acc is: {m}\nNow continue training……\n"
        for e, t, v, m in epochs
    )
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert curves.train == pytest.approx(TRAIN)
    assert curves.val == pytest.approx(VAL)
    assert curves.metric == pytest.approx(METRIC)
    unended = "".join(
        f"Epoch {e}\nloss: {t}\nEvaluating...\nloss: {v}\n"
        for e, t, v in zip(range(1, 9), TRAIN, VAL, strict=True)
    )
    (curves,) = read_of(tmp_path, unended).trainings.values()
    assert (curves.train[-1], curves.val[-1]) == pytest.approx((TRAIN[-1], VAL[-1]))


@pytest.mark.parametrize("form", ["utf-16", "gbk", "latin-1"])
def test_logs_in_other_encodings_are_read_as_their_numbers_are(form, tmp_path):
    word = {"utf-16": "Épöche", "gbk": "训练", "latin-1": "Größe"}[form]
    lines = (f"{word} epoch {e}: loss={t:.4f} val_loss={v:.4f}" for e, t, v in zip(range(1, 9), TRAIN, VAL, strict=True))  # fmt: skip
    (curves,) = read_of(tmp_path, "\r\n".join(lines).encode(form)).trainings.values()
    assert curves.val == pytest.approx(VAL, abs=1e-4)


def test_a_training_that_was_taken_up_again_is_read_without_what_it_gave_up(tmp_path):
    rows = [f"{e},{2 / e},{2.2 / e}" for e in range(1, 11)]
    again = [f"{e},{1.9 / e},{2.1 / e}" for e in range(7, 16)]
    log = read_of(tmp_path, "\n".join(["epoch,loss,val_loss", *rows, *again]))
    (curves,) = log.trainings.values()
    assert curves.epochs.tolist() == list(range(1, 16))
    assert curves.train[5:7] == pytest.approx([2 / 6, 1.9 / 7])
    assert "taken up again from epoch 7" in log.columns
    by_word = sorted(rows)  # 1, 10, 2, …
    without_loss = [f"{e},,{0.5 / e}" for e in range(2, 9)]  # as of a pretraining's second part
    for other in (by_word, rows + without_loss):
        with raises("log-epochs-do-not-rise"):
            read_of(tmp_path, "\n".join(["epoch,loss,val_loss", *other]))


@pytest.mark.parametrize(
    ("steps", "read", "said"),
    [
        (["500", "1,000", "1,500", "2,000"], [500, 1000, 1500, 2000], False),
        (["1,000", "2,000", "3,000", "4,000"], [1000, 2000, 3000, 4000], False),
        (["999,000", "1,000,000", "1,001,000", "1,002,500"], [999e3, 1e6, 1001e3, 1002500], False),
        (["1,125", "1,250", "1,375", "1,500"], [1.125, 1.25, 1.375, 1.5], True),
        (["0,5", "1,0", "1,500", "2,000"], [0.5, 1.0, 1.5, 2.0], False),
        (["1", "1,125", "1500", "2000"], [1, 1.125, 1500, 2000], False),
    ],
)
def test_commas_are_read_as_their_column_shows_and_what_stays_open_is_said(
    steps, read, said, tmp_path
):
    rows = [f"{s};{t};{v}" for s, t, v in zip(steps, ("0,9", "0,7", "0,6", "0,55"), ("0,95", "0,8", "0,7", "0,69"), strict=True)]  # fmt: skip
    log = read_of(tmp_path, "\n".join(["step;loss;val_loss", *rows]))
    (curves,) = log.trainings.values()
    assert curves.epochs == pytest.approx(read)
    assert curves.train == pytest.approx([0.9, 0.7, 0.6, 0.55])
    assert (f"{steps[0]} as {read[0]}" in log.columns) == said


def test_losses_in_thousands_with_a_point_are_read_in_a_table_parted_by_commas(tmp_path):
    rows = [
        f'{e},"{t:,.1f}","{t + 10:,.1f}"' for e, t in enumerate((2104.5, 1500.0, 1204.5, 980.0))
    ]
    (curves,) = read_of(tmp_path, "\n".join(["epoch,loss,val_loss", *rows])).trainings.values()
    assert curves.train == pytest.approx([2104.5, 1500.0, 1204.5, 980.0])


def test_a_fall_within_the_first_epoch_is_learning_and_no_rate_too_low(tmp_path):
    text = ""
    for e in range(1, 21):
        parts = (6.9, 5.6, 5.0) if e == 1 else (4.7 - 0.02 * e,) * 3
        text += "".join(
            f"| epoch {e} | {k}00/300 batches | lr 20.00 | loss {t:.3f}\n"
            for k, t in enumerate(parts, 1)
        )
        text += f"| end of epoch {e} | valid loss {4.6 - 0.02 * e:.3f}\n"
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert curves.began == pytest.approx(6.9)
    assert judge(curves).name == "still_learning"


def test_of_two_numbers_with_an_arrow_the_later_one_counts(tmp_path):
    text = "".join(
        f"epoch {e} | train loss : 9.1 -> {t:.4f} | test loss : 8.5 -> {v:.4f} by 1 steps\n"
        for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True), 1)
    )
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)
    assert curves.val == pytest.approx(VAL, abs=1e-4)


def test_folds_named_at_their_ends_and_the_one_loss_of_a_name_of_its_own_are_read(tmp_path):
    text = "".join(
        "".join(f"Epoch {20 * e}: train/CrossEntropyLoss={2 / e}\n" for e in range(1, 9))
        + f"-> fold {fold}: dice=0.13\n"
        for fold in range(3)
    )
    log = read_of(tmp_path, text)
    assert len(log.trainings) == 3
    assert "train = train_crossentropyloss" in log.columns


FRAMEWORKS = {
    "DeepSpeed": "***** Running training, Epoch {e}/8 *****\nEpoch {e}/8 with loss {t:.4f}\n"
    "***** Evaluating perplexity, Epoch {e}/8 *****\nppl: 5.0, loss: {v:.4f}\n",
    "ESPnet": "(trainer:250) INFO: {e}epoch:train:1-500batch: iter_time=0.1, loss={t:.4f}\n"
    "(trainer:250) INFO: {e}epoch results: [train] iter_time=7.5, loss={t:.4f}, acc=0.1, "
    "time=1 minute and 43.19 seconds, [valid] loss={v:.4f}, acc={m:.4f}, total_count=49\n",
    "Lightning": "Epoch {e}: 100%|███| 938/938 [00:11<00:00, 80.33it/s, v_num=0, "
    "train_loss_step=9.0, val_loss={v:.4f}, val_acc={m:.4f}, train_loss_epoch={t:.4f}]\n",
    "SpeechBrain": "epoch: {e}, lr: 1.95e-05 - train loss: {t:.4f} - valid loss: {v:.4f}, "
    "valid acc: {m:.4f}, valid cm: [[4 0 6 4]\n [6 0 6 2]]\n",
    "ImageNet": "Epoch: [{e}][ 10/50]\tTime 0.1 ( 0.2)\tLoss 9.0e+00 (9.0e+00)\n"
    "Epoch: [{e}][ 40/50]\tTime 0.1 ( 0.2)\tLoss 9.1e-01 ({t:.6e})\n"
    "Test: [0/9]\tLoss 9.0e+00 (9.0e+00)\tAcc@1 1.00 (1.00)\n"
    "Test: [8/9]\tLoss 9.1e-01 ({v:.6e})\tAcc@1 9.00 ({p:.2f})\n",
    "DETR": "Epoch: [{e}]  [499/500]  eta: 0:04:00  loss: 0.9 ({t:.5f})  loss_ce: 1.0 (1.0)\n"
    "Averaged stats: loss: 0.9 ({t:.5f})\nTest:  [99/100]  loss: 0.9 ({v:.5f})\n"
    "Averaged stats: loss: 0.9 ({v:.5f})\n Average Precision  (AP) @[ IoU=0.50:0.95 ] = {m:.4f}\n",
    "Paddle": "Epoch {e}/8\nstep  10/938 [...] - loss: 9.0 - acc: 0.1 - ETA: 20s - 22ms/step\n"
    "step 938/938 [===] - loss: {t:.4f} - acc: 0.1 - 12ms/step\nEval begin...\n"
    "step 157/157 [===] - loss: {v:.4f} - acc: {m:.4f} - 8ms/step\nEval samples: 10000\n",
    "XGBoost": "[{e}]\teval-rmse:{v:.5f}\ttrain-rmse:{t:.5f}\n",
    "LightGBM": "[{e}]\ttraining's l2: {t:.6f}\tvalid_1's l2: {v:.6f}\n",
    "CatBoost": "{e}:\tlearn: {t:.7f}\ttest: {v:.7f}\tbest: {v:.7f} ({e})\ttotal: 50.1ms\n",
    "Catalyst": "train ({e}/8) accuracy01: 0.9 | loss: {t:.4f} | loss/std: 0.1 | lr: 0.02\n"
    "valid ({e}/8) accuracy01: {m:.4f} | loss: {v:.4f} | loss/std: 0.1\n* Epoch ({e}/8)\n",
    "Estimator": "INFO:tensorflow:loss = {t:.4f}, step = {e} (1.234 sec)\n"
    "INFO:tensorflow:Saving dict for global step {e}: accuracy = {m:.4f}, global_step = {e}, "
    "loss = {v:.4f}\n",
    "Megatron-LM": "iteration {e}/ 8 | elapsed time per iteration (ms): 643.2 | lm loss: {t:.6E} |\n"
    "validation loss at iteration {e} | lm loss value: {v:.6E} | lm loss PPL: 9.1E+00 |\n",
    "JoeyNMT": "Epoch   {e}, Step:   {e}00, Batch Loss:   {t:.6f}, Lr: 0.0003\n"
    "Validation result (greedy) at epoch   {e}, step   {e}00: bleu:  1.00, loss: {v:.4f}\n",
    "Marian": "Ep. {e} : Up. {e}000 : Sen. 1,269,755 : Cost {t:.8f} : Time 785.53s\n"
    "[valid] Ep. {e} : Up. {e}000 : cross-entropy : {v:.5f} : new best\n",
    "Sockeye": "{e}\tepoch={e}\tcross-entropy-train={t:.6f}\tcross-entropy-val={v:.6f}\n",
    "Flair": "epoch {e} - iter 5/10 - loss 9.1 - lr: 0.02\nepoch {e} - iter 10/10 - loss 9.0\n"
    "EPOCH {e} done: loss {t:.4f} - lr 0.02\nDEV : loss {v:.6f} - f1-score {m:.4f}\n",
    "JAX's writers": "logging_writer.py:48] [{e}00] steps_per_second=12.3, train_loss={t:.5f}\n"
    "train.py:400] eval epoch: {e}, loss: {v:.4f}, accuracy: {p:.2f}\n",
    "CNTK": "Finished Epoch[ {e} of 8]: [Training] ce = {t:.8f} * 50000; errs = 61.2% * 50000\n"
    "Finished Epoch[ {e} of 8]: [Validate] ce = {v:.8f} * 10000; errs = 55.1% * 10000\n",
    "Tacotron": "Train loss {e} {t:.6f} Grad Norm 1.2 0.51s/it\nValidation loss {e}: {v:.6f}\n",
    "LitGPT": "Epoch 1 | iter {e} step {e} | loss train: {t:.4f}, val: n/a | iter time: 420.11 ms\n"
    "iter {e}: val loss {v:.4f}, val time: 3000.00 ms\n",
    "WeNet": "INFO Epoch {e} TRAIN info lr 0.001\nDEBUG TRAIN Batch {e}/100 loss {t:.4f} "
    "loss_att 0.9 rank 0\nINFO Epoch {e} CV info cv_loss {v:.4f}\n",
    "Caffe": "I0601 6142 solver.cpp:330] Iteration {e}, Testing net (#0)\n"
    "I0601 6142 solver.cpp:397]     Test net output #1: loss = {v:.5f} (* 1 = {v:.5f} loss)\n"
    "I0601 6142 solver.cpp:218] Iteration {e} (0.95 iter/s, 104.2s/100 iters), loss = {t:.5f}\n"
    "I0601 6142 solver.cpp:237]     Train net output #0: Softmax = 0.7 (* 1 = 0.7 loss)\n",
    "fairseq": "2020-04-22 07:42:21 | INFO | train | epoch 00{e} | loss {t:.4f} | wps 7204.7\n"
    "2020-04-22 07:42:23 | INFO | valid | epoch 00{e} | valid on 'valid' subset | "
    "loss {v:.4f} | best_loss 0.1\n",
}


@pytest.mark.parametrize("form", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_what_frameworks_print_is_read_as_its_numbers_say(form, tmp_path):
    (curves,) = read_logs(written(tmp_path, form)).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)
    assert curves.val == pytest.approx(VAL, abs=1e-4)


def test_where_a_loss_is_told_as_perplexity_its_logarithm_is_read_and_said(tmp_path):
    form = "".join(f"step {{e}}{n}/8; acc: 9; ppl: 9.1; xent: {{t:.6f}};\n" for n in range(6))
    form += "Validation perplexity: {x:.6f}\nValidation accuracy: {m}\n"
    rows = enumerate(zip(TRAIN, VAL, METRIC, strict=True), 1)
    text = "".join(form.format(e=e, t=t, x=np.exp(v), m=m) for e, (t, v, m) in rows)
    log = read_of(tmp_path, text)
    (curves,) = log.trainings.values()
    assert curves.metric == pytest.approx(METRIC)
    assert "val_loss = ln val_perplexity" in log.columns
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)
    assert curves.val == pytest.approx(VAL, abs=1e-4)


def test_of_losses_told_of_several_sets_the_sum_counts_and_validation_before_test(tmp_path):
    own = {"label/a": TRAIN, "label/b": TRAIN, "combined/loss": np.multiply(TRAIN, 2).tolist()}
    sets = {
        name: {f"{part}/loss": np.multiply(values, share).tolist() for part, values in own.items()}
        for name, share in (("training", 1), ("validation", 1.1), ("test", 5))
    }
    log = read_of(tmp_path, json.dumps(sets))
    (curves,) = log.trainings.values()
    assert curves.train == pytest.approx(np.multiply(TRAIN, 2))
    assert curves.val == pytest.approx(np.multiply(TRAIN, 2.2))
    rows = [{"main/loss": t, "validation/main/loss": v} for t, v in zip(TRAIN, VAL, strict=True)]
    (curves,) = read_of(tmp_path, json.dumps(rows)).trainings.values()
    assert (curves.train.tolist(), curves.val.tolist()) == (TRAIN, VAL)


def test_files_of_an_epoch_each_are_one_training_and_summaries_of_runs_are_not(tmp_path):
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        for e, (t, v) in enumerate(
            zip([*TRAIN, 0.2, 0.1, 0.1], [*VAL, 0.3, 0.2, 0.2], strict=True)
        ):
            record = {"epoch": e, "training_loss": t, "validation_loss": v}
            (tmp_path / run / f"metrics_epoch_{e}.json").write_text(json.dumps(record))
    log = read_logs(f"{tmp_path}/*/metrics_epoch_*.json")
    assert list(log.trainings) == ["a", "b"]
    assert log.trainings["a"].epochs.tolist() == list(range(11))
    (alone,) = read_logs(str(tmp_path / "a")).trainings.values()
    assert alone.val[:8] == pytest.approx(VAL)
    for e, run in enumerate(("x", "y"), start=30):
        record = {"epoch": e, "train_loss": 0.5, "val_loss": 0.6}
        (tmp_path / f"{run}.json").write_text(json.dumps(record))
    assert len(read_logs(f"{tmp_path}/*.json").trainings) == 2


def test_names_in_a_comment_above_the_numbers_are_the_columns(tmp_path):
    rows = "".join(
        f"  {e}  {v:.4e}  {t:.4e}\n" for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True))
    )
    (curves,) = read_of(tmp_path, f"#  step   rmse_val  rmse_trn\n# rmse is of forces\n{rows}").trainings.values()  # fmt: skip
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)
    assert curves.val == pytest.approx(VAL, abs=1e-4)


def test_an_epoch_that_is_named_below_its_lines_ends_there_and_one_without_a_name_is_not_over(
    tmp_path,
):
    form = "train loss {t:.4f}\nvalid loss {v:.4f}\nepoch {e} done\n"
    text = Path(written(tmp_path, form)).read_text() + "train loss 0.0100\n"
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)


def test_a_number_in_front_of_its_name_is_not_taken_for_the_next_one(tmp_path):
    darknet = " {e}00: 9.1, {t:.6f} avg loss, 0.001000 rate, 2.3 seconds\nLoaded: 0.1 seconds\n"
    (curves,) = read_logs(written(tmp_path, darknet)).trainings.values()
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)
    with raises("log-lacks-losses"):
        read_logs(written(tmp_path, "{t:.4f} loss, {m:.4f} acc\n"))


def test_records_of_steps_that_name_their_mode_are_read_beside_evaluations_without_a_loss(tmp_path):
    text = "".join(
        "".join(
            f'{{"mode": "train", "epoch": {e}, "iter": {50 * k}, "loss": {t}}}\n' for k in (1, 2)
        )
        + f'{{"mode": "val", "epoch": {e}, "iter": 120, "bbox_mAP": {m}}}\n'
        for e, (t, m) in enumerate(zip(TRAIN, METRIC, strict=True), 1)
    )
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert (curves.train, curves.held_out) == (pytest.approx(TRAIN), False)


def test_losses_of_validation_that_are_0_before_any_other_stand_for_none(tmp_path):
    def table(val):
        rows = (f"{e},{t},{v}" for e, (t, v) in enumerate(zip(TRAIN, val, strict=True), 1))
        return "\n".join(["epoch,train/box_loss,val/box_loss", *rows])

    (last,) = read_of(tmp_path, table([0] * 7 + [0.4])).trainings.values()
    assert (last.held_out, last.train) == (False, pytest.approx(TRAIN))
    read = read_of(tmp_path, table([0, 0, *VAL[2:]]))
    (later,) = read.trainings.values()
    assert "not taken: a validation loss of 0 in 2 rows before any other" in read.columns
    assert (later.epochs[0], later.val[0]) == (3, pytest.approx(VAL[2]))
    read = read_of(tmp_path, table([*VAL[:6], 0.0, 0.0]))
    (ends,) = read.trainings.values()
    assert "not taken" not in read.columns
    assert ends.val[-1] == 0  # as it was printed


def test_a_training_that_begins_again_after_its_first_epoch_is_another_one(tmp_path):
    rows = [f"{e},{t},{v}" for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True))]
    text = "\n".join(["epoch,loss,val_loss", "0,3.0,3.1", *rows])
    first, second = read_of(tmp_path, text).trainings.values()
    assert (len(first.train), second.train) == (1, pytest.approx(TRAIN))


def test_losses_of_single_steps_that_shake_ask_for_no_lower_rate_where_validation_gets_better(tmp_path):  # fmt: skip
    shakes = (0.87, 0.38, 0.45, 0.39, 0.54, 0.31, 0.31, 0.23, 0.27)
    val = (0.83, 0.41, 0.38, 0.37, 0.36, 0.357, 0.353, 0.348, 0.336)
    text = "epoch,step,train_loss,val_loss\n" + "".join(
        f"{e},{50 * e},{t},\n{e},{50 * e + 40},,{v}\n"
        for e, (t, v) in enumerate(zip(shakes, val, strict=True), 1)
    )
    (curves,) = read_of(tmp_path, text).trainings.values()
    assert curves.sampled
    assert judge(curves).name in ("still_learning", "converged")


def test_averages_in_brackets_are_said_and_a_deviation_is_none(tmp_path):
    assert "averages so far in train_loss" in read_logs(written(tmp_path, FORMS["timm"])).columns
    path = written(tmp_path, "epoch {e}: train loss {t:.4f} (0.0021), val loss {v:.4f} (0.0034)\n")
    (curves,) = read_logs(path).trainings.values()
    assert curves.val == pytest.approx(VAL, abs=1e-4)


MM = "2023/06/05 20:10:13 - mmengine - INFO - "
EVALUATED = {
    "OpenMMLab": '{{"loss": {t}, "grad_norm": 2.0, "epoch": {e}, "iter": {e}50, "step": {e}50}}\n'
    '{{"coco/bbox_mAP": {m}, "coco/bbox_mAP_50": 0.99, "time": 0.1, "step": {e}}}\n',
    "OpenMMLab by steps": '{{"loss": {t}, "decode.acc_seg": 80.0, "iter": {e}, "step": {e}}}\n'
    '{{"aAcc": 90.0, "mIoU": {p}, "mAcc": 70.0, "step": {e}}}\n',
    "OpenMMLab 1": '{{"mode": "train", "epoch": {e}, "iter": 50, "lr": 0.01, "loss": {t}}}\n'
    '{{"mode": "val", "epoch": {e}, "iter": 500, "lr": 0.01, "bbox_mAP": {m}}}\n',
    "Detectron2": '{{"iteration": {e}, "loss_cls": 0.1, "total_loss": {t}, "lr": 0.001}}\n'
    '{{"bbox/AP": {p}, "bbox/AP50": 99.0, "iteration": {e}, "lr": 0.001}}\n',
    "OpenMMLab's text": f"        switch_epoch=300,\n{MM}Epoch(train)   [{{e}}][1/6]  lr: 4.0e-08  "
    f"eta: 4:59:11  loss: {{t:.4f}}  acc_pose: 0.1\n{MM}Epoch(val) [{{e}}][9/9]  "
    "accuracy/top1: {p:.4f}\n",
    "its text by steps": f"{MM}Iter(train) [ {{e}}/120000]  lr: 2.0e-05  loss: {{t:.4f}}\n"
    f"{MM}Iter(val) [500/500]    aAcc: 90.0  mIoU: {{p:.4f}}  mAcc: 70.0\n",
}


@pytest.mark.parametrize("form", EVALUATED.values(), ids=EVALUATED)
def test_a_metric_that_is_told_apart_from_trains_loss_is_read_by_epoch(form, tmp_path):
    (curves,) = read_logs(written_alone(tmp_path, form)).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)
    assert curves.metric == pytest.approx(METRIC, abs=1e-4)
    assert not curves.held_out


def written_alone(tmp_path, form, name="some.log"):
    rows = enumerate(zip(TRAIN, VAL, METRIC, strict=True), start=1)
    text = "".join(form.format(e=e, t=t, v=v, m=m, p=100 * m) for e, (t, v, m) in rows)
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_updates_are_steps_where_all_are_of_one_epoch(tmp_path):
    form = (
        '| INFO | train_inner | {{"epoch": 1, "loss": "9", "num_updates": "{e}00"}}\n'
        '| INFO | train_inner | {{"epoch": 1, "loss": "{t}", "num_updates": "{e}50"}}\n'
        '| INFO | valid | {{"epoch": 1, "valid_loss": "{v}", "valid_num_updates": "{e}50"}}\n'
    )
    (curves,) = read_logs(written_alone(tmp_path, form)).trainings.values()
    assert curves.epochs.tolist() == list(range(150, 851, 100))
    assert curves.train == pytest.approx((9 + np.array(TRAIN)) / 2)
    assert curves.val == pytest.approx(VAL)


@pytest.mark.parametrize("name", ["tag", "key", "metric"])
def test_a_table_in_long_form_is_read_by_run_and_step(name, tmp_path):
    form = "a,train/loss,{e},{t}\na,val/loss,{e},{v}\nb,train/loss,{e},9.0\nb,val/loss,{e},9.5\n"
    path = written_alone(tmp_path, form)
    with open(path) as file:
        text = file.read()
    log = read_of(tmp_path, f"run,{name},step,value\n{text}")
    assert list(log.trainings) == ["a", "b"]
    assert log.trainings["a"].train == pytest.approx(TRAIN)
    assert log.trainings["a"].val == pytest.approx(VAL)
    assert log.trainings["b"].val == pytest.approx([9.5] * 8)


@pytest.mark.parametrize("name", ["run_id", "source"])
def test_runs_of_a_long_table_are_told_apart_by_id_or_where_each_begins_anew(name, tmp_path):
    rows = [f"{run},{k},{e},{x}" for run in "ab" for k in ("loss", "val_loss") for e, x in enumerate(TRAIN)]  # fmt: skip
    log = read_of(tmp_path, "\n".join([f"{name},key,step,value", *rows]))
    assert [curves.val.tolist() for curves in log.trainings.values()] == [TRAIN, TRAIN]


def test_lines_of_steps_are_no_bars_and_a_name_between_commas_is_no_table(tmp_path):
    form = "step {e}00/800 loss: {t:.4f}\n"
    (curves,) = read_logs(written_alone(tmp_path, form)).trainings.values()
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)
    form = "epoch {e}, loss_train, {t:.4f}, loss_val, {v:.4f}\n"
    (curves,) = read_logs(written_alone(tmp_path, form)).trainings.values()
    assert curves.train == pytest.approx(TRAIN, abs=1e-4)


def test_classes_are_no_scale_of_an_error_and_a_loop_of_ones_own_is_no_boosting(tmp_path):
    rows = "".join(f"{e},0.9,0.9\n" for e in range(20))
    log = read_of(tmp_path, f"epoch,train_error,val_error\n{rows}", classes=10)
    (curves,) = log.trainings.values()
    assert (curves.classes, "classes are no scale of" in log.columns) == (0, True)
    form = "[{e}] train-loss: {t:.4f} val-loss: {v:.4f}\n"
    assert not read_logs(written_alone(tmp_path, form)).boosted


def test_an_export_of_several_runs_is_read_as_several_trainings(tmp_path):
    columns = [f"{run} - {name}" for run in ("a", "b - c") for name in ("train/loss", "val/loss")]
    header = ",".join(["Step", *(f"{c}{end}" for c in columns for end in ("", "__MIN", "__MAX"))])
    rows = [
        ",".join([str(e), *(str(x) for y in (t, v, 9.0, 9.5 if e < 8 else "") for x in [y] * 3)])
        for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True), 1)
    ]
    log = read_of(tmp_path, "\n".join([header, *rows]))
    assert list(log.trainings) == ["a", "b - c"]
    assert log.trainings["a"].val == pytest.approx(VAL)
    assert log.trainings["b - c"].val == pytest.approx([9.5] * 7)


def test_an_export_of_a_spreadsheet_is_read_as_its_numbers_are(tmp_path):
    rows = [
        f"{e};{1000 * t:_.2f};{1000 * v:_.2f};{100 * m:.1f}%".replace(".", ",").replace("_", ".")
        for e, (t, v, m) in enumerate(zip(TRAIN, VAL, METRIC, strict=True), 1)
    ]
    assert rows[0] == "1;2.000,00;2.200,00;50,0%"
    log = read_of(tmp_path, "\r\n".join(["sep=;", "Epoch;Train Loss;Val Loss;Val Acc", *rows]))
    (curves,) = log.trainings.values()
    assert curves.train == pytest.approx(np.multiply(TRAIN, 1000), abs=0.01)
    assert curves.val == pytest.approx(np.multiply(VAL, 1000), abs=0.01)
    assert curves.metric == pytest.approx(METRIC, abs=1e-3)
    rows = [f"epoch {e}: loss {1e3 * v:,.2f} val_loss {2e3 * v:,.2f}" for e, v in enumerate(VAL)]
    (curves,) = read_of(tmp_path, "\n".join(rows)).trainings.values()
    assert curves.train == pytest.approx(curves.val / 2, abs=0.01)
    assert curves.train == pytest.approx(np.multiply(VAL, 1000), abs=0.01)


def test_the_best_round_told_once_more_is_no_round_of_its_own(tmp_path, capsys):
    form = "[{e}]\ttraining's l1: {t:.6f}\tvalid_1's l1: {v:.6f}\n"
    path = written_alone(tmp_path, form)
    with open(path, "a") as file:
        file.write(
            "Early stopping, best iteration is:\n[3]\ttraining's l1: 0.5\tvalid_1's l1: 0.5\n"
        )
    (curves,) = read_logs(path).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert main(["doctor", "--csv", path]) == 0
    assert "an epoch is a round" in capsys.readouterr().out


def test_sets_whose_names_do_not_say_which_is_trains_are_asked_for(tmp_path):
    form = "[{e}]\tvalidation_0-logloss:{t:.5f}\tvalidation_1-logloss:{v:.5f}\n"
    path = written_alone(tmp_path, form)
    with raises(
        "log-lacks-losses", "set0_logloss", "set1_logloss", "--columns train=set0_logloss;"
    ):
        read_logs(path)
    (curves,) = read_logs(path, columns={"train": "set0_logloss", "val": "set1_logloss"}).trainings.values()  # fmt: skip
    assert curves.val == pytest.approx(VAL, abs=1e-4)


@pytest.mark.parametrize("place", ["run", "run/metrics"])
def test_a_folder_with_a_file_per_metric_is_one_log(place, tmp_path):
    (tmp_path / "run" / "metrics" / "val").mkdir(parents=True)
    written_alone(tmp_path, "170000000{e} {t} {e}\n", "run/metrics/train_loss")
    written_alone(tmp_path, "170000000{e} {v} {e}\n", "run/metrics/val/loss")
    (curves,) = read_logs(str(tmp_path / place)).trainings.values()
    assert curves.epochs.tolist() == list(range(1, 9))
    assert curves.train == pytest.approx(TRAIN)
    assert curves.val == pytest.approx(VAL)


def test_folders_of_events_that_are_no_sets_are_runs_of_their_own(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    from torch.utils.tensorboard import SummaryWriter

    for share, run in ((1.0, "first"), (2.0, "train_again")):
        with SummaryWriter(tmp_path / "runs" / run) as writer:
            for epoch, (t, v) in enumerate(zip(TRAIN, VAL, strict=True)):
                writer.add_scalar("Loss/train", share * t, epoch)
                writer.add_scalar("Loss/val", share * v, epoch)
    log = read_logs(str(tmp_path / "runs"))
    assert list(log.trainings) == ["first", "train_again"]
    assert log.trainings["train_again"].val == pytest.approx(np.multiply(VAL, 2))


def test_of_a_log_of_very_many_lines_all_rare_ones_stay_and_others_stand_for_their_like():
    steps = [f"{step},{2.0 / (1 + step):.5f},\n" for step in range(3 * MOST // 2)]
    steps[999::1000] = [
        line.replace(",\n", f",{at}.5\n") for at, line in enumerate(steps[999::1000])
    ]
    lines = [line.encode() for line in ["step,loss,val_loss\n", *steps]]
    numbered, count = stands_for(lines)
    kept = [line for _, line in numbered]
    assert (count, kept[:2]) == (len(lines), lines[:2])
    assert all(lines[number - 1] == line for number, line in numbered)
    assert [line for line in kept if b".5\n" in line] == [line for line in lines if b".5\n" in line]
    assert MOST / 2 < len(kept) < 1.1 * MOST
    numbers = [int(line.partition(b",")[0]) for line in kept[1:]]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "start",
    [
        b"step,loss\n1,2.5\n",
        b"{\n",
        b"run_id,epoch,loss\n",
        b'step,loss\n1,"\n',
        "step,loss\r\n".encode("utf-16"),
    ],
)
def test_short_logs_and_those_whose_lines_belong_together_stay_whole(start):
    content = start if start.endswith(b"2.5\n") else start + (b"1" * 255 + b"\n") * (LARGE // 256)
    assert thinned(io.BytesIO(content)) == (content, "")


def test_an_error_in_a_very_long_log_names_the_line_of_the_file():
    long, count = b"loss" + b" " * 500 + b"\n", MOST + 1000
    content, share = thinned(io.BytesIO(count * long + b"the end\n"))
    assert share
    assert content.splitlines().index(b"the end") == count


@pytest.mark.parametrize(("times", "is_left_out"), [(40, True), (1 / 40, True), (3, False)])
def test_a_validation_that_is_no_measure_beside_train_is_left_out_and_losses_not_read_are_named(
    times, is_left_out, tmp_path
):
    form = "epoch {e}: aux_loss=0.5 loss_weight=1 train_loss={t} val_loss={v}\n"
    text = "".join(
        form.format(e=e, t=t, v=times * v) for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True))
    )
    log = read_of(tmp_path, text)
    (curves,) = log.trainings.values()
    assert (not curves.held_out, "is left out" in log.columns) == (is_left_out, is_left_out)
    assert "not read: aux_loss" in log.columns
    assert "loss_weight" not in log.columns
    (curves,) = read_of(tmp_path, text, columns={"val": "val_loss"}).trainings.values()
    assert curves.val == pytest.approx(np.multiply(VAL, times))


def test_what_batches_lose_gives_way_to_the_epochs_own_and_a_part_or_the_best_so_far_is_no_loss(
    tmp_path,
):
    batches = "".join(f"Epoch {{e}} - Batch loss: {n}.5\n" for n in range(20))
    log = read_logs(written_alone(tmp_path, f"{batches}Epoch {{e}} - Average Train Loss: {{t}}\n"))
    assert next(iter(log.trainings.values())).train == pytest.approx(TRAIN)
    form = "Epoch: {e}/8, Training MSE Loss:{t}, Val. MSE Loss:{v}\n"
    text = Path(written_alone(tmp_path, form)).read_text()
    text += "Saving the best model at epoch=8, with training loss=9.1, validation loss=9.2\n"
    log = read_of(tmp_path, text * 2)
    assert [len(own.epochs) for own in log.trainings.values()] == [8, 8]
    assert "train = train_mse_loss, val = val_mse_loss" in log.columns
    for no_loss in ("TPE using {e}/8 trials with best loss {t}\n", "Epoch {e}, Cost: {t} sec\n"):
        with raises("file-holds-no-table", "some.log"):
            read_logs(written_alone(tmp_path, no_loss))
    steps, form = "Step {e}00, Loss: {v}\n", "Epoch {e}/8 - Train Loss: {t}, Val Loss: {v}\n"
    with raises("log-epoch-twice", "train_loss"):  # a training of one epoch before the other's
        read_of(
            tmp_path,
            f"{steps}{steps}Epoch 1/1 - Train Loss: 9.5\n".format(e=1, v=1)
            + "".join(
                f"{steps}{form}".format(e=e, t=t, v=v)
                for e, (t, v) in enumerate(zip(TRAIN, VAL, strict=True), 1)
            ),
        )
    form = "epoch {e}: train_loss={t} val_loss={v} val_miou={m}, best_miou={m}\n"
    for own, metric in ((form, "val_miou"), (form.replace("val_miou", "per"), "(none)")):
        assert f"metric = {metric}" in read_logs(written_alone(tmp_path, own)).columns


def test_losses_of_groups_of_rows_give_way_to_one_of_all_and_two_of_all_are_asked_for(tmp_path):
    groups = "group 0: loss = 9.5\ngroup 1: loss = 0.5\n"
    form = f"Epoch [{{e}}]:\nTraining:\nsample loss: {{t}}\n{groups}Validation:\n"
    form += f"sample loss: {{v}}\n{groups}"
    (curves,) = read_logs(written_alone(tmp_path, form)).trainings.values()
    assert curves.train == pytest.approx(TRAIN)
    assert curves.val == pytest.approx(VAL)
    steps = "step {e}, loss: {t}\npart 0 total_loss: 9.5\npart 1 total_loss: 0.5\nget best test loss 0.1\n"
    log = read_logs(written_alone(tmp_path, steps))  # the one that most lines tell is a part
    assert "train = loss, val = (none), epoch = step" in log.columns
    with raises("log-lacks-losses", "--columns train=sample_loss val=val_sample_loss;"):
        read_logs(written_alone(tmp_path, form.replace("sample", "sample loss: 0.5\nrare")))


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ("{e}0,{t},{v}\n", {"epoch": "1", "train": "2"}),
        ("{e}/8 0.5G {t} {v} 640\n", {"epoch": "1", "train": "3"}),
        ("{t}\t0.5\n", {"train": "1"}),
        ("epoch {e}: nll={t} kl_loss={v}\n", {"train": "nll"}),
        ("epoch {e}: d_loss={t} g_loss={v}\n", {"train": "d_loss"}),
        ("iter {e}: t_loss={t} v_loss={v}\n", {"train": "t_loss", "val": "v_loss"}),
        ('{{"epoch": {e}, "train": {t}, "valid": {v}, "total": 9}}\n', {"train": "train", "val": "valid"}),
        ("epoch {e}: val_a_loss={v} val_b_loss={t}\n", {"train": "NAME", "val": "val_a_loss"}),
    ],
)  # fmt: skip
def test_a_question_for_the_columns_holds_an_answer_that_can_be_given(form, answer, tmp_path):
    path = written_alone(tmp_path, form)
    columns = " ".join(f"{role}={name}" for role, name in answer.items())
    with raises("log-lacks-losses", f"--columns {columns};"):
        read_logs(path)
    if "{t}" in form and "NAME" not in columns:
        (curves,) = read_logs(path, columns=answer).trainings.values()
        assert curves.train == pytest.approx(TRAIN)


def test_a_first_column_that_counts_is_the_axis_and_falls_where_another_training_begins(tmp_path):
    rows = "".join(f"{50 * e}\t{t}\t0.1\n" for e, t in enumerate(TRAIN, start=1))
    curves = read_of(tmp_path, f"Generation\tloss\trate\n{rows}").trainings["some"]
    assert curves.at(curves.epochs[-1]) == "step 400"
    assert len(read_of(tmp_path, f"Generation\tloss\trate\n{rows}{rows}").trainings) == 2
    begun = "".join(f"epoch=0 i={e}/530 loss={t}\n" for e, t in enumerate(TRAIN))
    assert len(read_of(tmp_path, begun + begun).trainings) == 2
    assert "epoch = step" in read_of(tmp_path, begun).columns
    on = begun + begun.replace("epoch=0", "epoch=1")  # each counts its own
    assert "epoch = (the rows, counted)" in read_of(tmp_path, on).columns


def test_each_cell_of_a_notebook_that_printed_the_losses_of_epochs_is_a_log(tmp_path):
    printed = Path(written(tmp_path, FORMS["keras"])).read_text().splitlines(keepends=True)
    cell = {"cell_type": "code", "outputs": [{"text": printed[:9]}, {"text": printed[9:]}]}
    other = {"cell_type": "code", "outputs": [{"data": {}}, {"text": ["Best epoch: 3\n"]}]}
    path = tmp_path / "train.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown"}, cell, other]}))
    (curves,) = read_logs(str(path)).trainings.values()
    assert curves.val == pytest.approx(VAL, abs=1e-4)
    dicts = [f"{{'loss': {t}, 'epoch': {e}}}\n" for e, t in enumerate(TRAIN)]
    tested = {"outputs": [{"text": ["loss: 0.5\n", "test loss: 0.5\n"]}]}
    path.write_text(json.dumps({"cells": [other, cell, tested, {"outputs": [{"text": dicts}]}]}))
    trainings = read_logs(str(path)).trainings
    assert list(trainings) == ["cell 2", "cell 4"]
    assert trainings["cell 2"].val == pytest.approx(VAL, abs=1e-4)
    assert list(trainings["cell 4"].train) == TRAIN
    path.write_text(json.dumps({"cells": [other]}))
    with raises("notebook-tells-no-losses", "train.ipynb"):
        read_logs(str(path))
    path.write_text(json.dumps({"cells": [{"outputs": [{"text": 5}]}]}))
    with raises("json-needs-records", "train.ipynb"):
        read_logs(str(path))


def test_a_score_above_100_is_no_share_in_percent(tmp_path):
    form = "epoch {e}: train_loss={t} val_loss={v} val_score="
    for score, top in (("{p}", METRIC[-1]), ("2{p}", None)):
        (curves,) = read_logs(written_alone(tmp_path, f"{form}{score}\n")).trainings.values()
        assert top == (None if curves.metric is None else pytest.approx(curves.metric[-1]))
