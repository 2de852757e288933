"""Logs whose lines name their run, tables among lines of text, and bars of epochs."""

import json
import re

import pytest
from refusals import raises

from search.diagnostics.logs.read import read_logs


def losses_of(run, epochs=6):
    return [(e, round(2.0 * run / e, 4), round(2.2 * run / e, 4)) for e in range(1, epochs + 1)]


def read(tmp_path, text, name="some.log"):
    (tmp_path / name).write_text(text)
    return read_logs(str(tmp_path / name))


def numbers(log):
    return {
        name.rpartition(": ")[2]: [*zip(c.train, c.val, strict=True)]
        for name, c in log.trainings.items()
    }


def without_epochs(losses):
    return [(t, v) for _, t, v in losses]


NAMED = {
    "[{name}] epoch {e} train_loss {t} val_loss {v}\n": ("fold1", "fold2", "fold10"),
    "{name} | Epoch {e} | loss: {t} | val loss: {v}\n": ("resnet18", "vgg", "vgg-bn"),
    "{name} epoch={e} loss={t} val_loss={v}\n": ("run=a", "run=b", "run=c"),
    "(fit pid={name}) Epoch {e}: loss {t}, val loss {v}\n": ("12", "345", "6"),
    "10:00:0{e} INFO Epoch {e} | {name} | loss {t} | val loss {v}\n": (
        "fold 1",
        "fold 2",
        "fold 3",
    ),
    "{name} epoch {e} train loss {t}\n{name} epoch {e} val loss {v}\n": ("small", "base", "large"),
}


@pytest.mark.parametrize("form", NAMED)
def test_runs_that_write_among_each_other_are_each_read_by_their_names(form, tmp_path):
    names = NAMED[form]
    runs = [losses_of(run, epochs=7 - run) for run in (1, 2, 3)]  # others stop earlier
    lines = [(e, name, t, v) for name, run in zip(names, runs, strict=True) for e, t, v in run]
    text = "".join(form.format(name=n, e=e, t=t, v=v) for e, n, t, v in sorted(lines))
    told = numbers(read(tmp_path, text))
    assert sorted(told.values()) == sorted(map(without_epochs, runs))
    by_words = {tuple(re.findall(r"[a-z-]+|\d+", key)): own for key, own in told.items()}
    for name, run in zip(names, runs, strict=True):
        words = tuple(re.findall(r"[a-z-]+|\d+", name))
        own = by_words[words] if words in by_words else by_words["pid", *words]
        assert own == without_epochs(run)


def test_processes_of_one_training_and_lines_of_one_set_are_no_runs(tmp_path):
    ranks = "".join(
        f"[rank{rank}] epoch {e} train_loss {t + rank}\n"
        for e, t, _ in losses_of(1)
        for rank in (0, 1)
    )
    (curves,) = read(tmp_path, ranks).trainings.values()
    assert curves.train.tolist() == pytest.approx([t + 0.5 for _, t, _ in losses_of(1)])
    sets = "".join(
        f"[train] epoch {e} loss {t}\n[val] epoch {e} loss {v}\n" for e, t, v in losses_of(1)
    )
    assert numbers(read(tmp_path, sets)) == {"some": without_epochs(losses_of(1))}
    epochs = "".join(
        f"[E{e}] step {2 * e + s} loss {t}\n" for e, t, _ in losses_of(1) for s in (1, 2)
    )
    assert list(read(tmp_path, epochs).trainings) == ["some"]


def test_names_that_do_not_tell_runs_apart_are_refused_and_never_averaged(tmp_path):
    text = "".join(
        f"[{'a' if e < 4 else 'c'}] epoch {e} loss {t}\n[b] epoch {e} loss {2 * t}\n"
        for e, t, _ in losses_of(1)
    )
    with raises("log-runs-not-told-apart", "a, b, c"):
        read(tmp_path, text)


ROWS = "".join(f"{e},{t},{v}\nSaving model to m{e}.pt\n" for e, t, v in losses_of(1))
DRAWN = "┌───┬───┬───┐\n│ epoch │ train_loss │ val_loss │\n├───┼───┼───┤\n" + "".join(
    f"│ {e} │ {t} │ {v} │\n" for e, t, v in losses_of(1)
)
ALIGNED = "epoch     train_loss  valid_loss  time\n" + "".join(
    f"{e}         {t}    {v}    00:12\n" for e, t, v in losses_of(1)
)
AROUND = (
    "Best loss so far: 0.3\nTest loss: 0.9\n{table}Test loss: 0.91\nTest loss, averaged: 0.92\n"
)


@pytest.mark.parametrize("table", ["epoch,train_loss,val_loss\n" + ROWS, DRAWN, ALIGNED])
def test_a_table_among_lines_of_text_is_read(table, tmp_path):
    log = read(tmp_path, AROUND.format(table=table))
    assert numbers(log) == {"some": without_epochs(losses_of(1))}
    before = "".join(f"Epoch {e}: loss {t} val_loss {v}\n" for e, t, v in losses_of(3))
    both = numbers(read(tmp_path, before + "now by another program\n" + table))
    assert sorted(both.values()) == [without_epochs(losses_of(run)) for run in (1, 3)]
    assert any("table in lines" in name for name in read(tmp_path, before + table).trainings)


def test_lines_of_text_with_commas_and_walls_are_no_tables(tmp_path):
    for form in ("epoch {e}, loss {t}, val_loss {v}\n", "epoch {e} | loss {t} | val_loss {v}\n"):
        text = "".join(form.format(e=e, t=t, v=v) for e, t, v in losses_of(1))
        assert numbers(read(tmp_path, text)) == {"some": without_epochs(losses_of(1))}


def test_a_bar_of_epochs_tells_the_epoch_and_not_its_percentage(tmp_path):
    form = "Epoch: {p:3d}%|██  | {e}/6 [00:01<00:30, 3.2s/it, loss={t}, val_loss={v}]\n"
    text = "".join(form.format(p=100 * e // 6, e=e, t=t, v=v) for e, t, v in losses_of(1))
    log = read(tmp_path, text)
    assert numbers(log) == {"some": without_epochs(losses_of(1))}
    (curves,) = log.trainings.values()
    assert curves.epochs.tolist() == [1, 2, 3, 4, 5, 6]
    named = "".join(
        f"Epoch {e}: {25 * part}%|██  | {part}/4 [00:01<00:30, loss={t}]\n"
        for e, t, _ in losses_of(1)
        for part in (1, 2, 3, 4)
    )
    (curves,) = read(tmp_path, named).trainings.values()
    assert curves.epochs.tolist() == [1, 2, 3, 4, 5, 6]


def test_bars_of_batches_that_are_named_epoch_are_no_epochs(tmp_path):
    text = "".join(
        f"Epoch: {25 * part}%|██  | {part}/4 [00:01<00:30, loss={t}]\n"
        for _, t, _ in losses_of(1)
        for part in (1, 2, 3, 4)
    )
    with raises("log-tells-not-of-train", "loss"):
        read(tmp_path, text)


def test_a_bar_that_runs_beyond_its_end_gives_way_to_the_line_that_sums_its_epoch_up(tmp_path):
    text = "".join(
        f"Epoch {e}: 100%|████| 2/2 [00:02<00:00, loss=7]\nEpoch {e}: 3it [00:03, loss=8]\n"
        f"Epoch {e}: 4it [00:04, loss=9]\nEpoch {e} Loss: {t}\n"
        for e, t, _ in losses_of(1)
    )
    (curves,) = read(tmp_path, text).trainings.values()
    assert curves.train.tolist() == [t for _, t, _ in losses_of(1)]


def test_a_step_of_its_own_whole_is_a_step_and_not_a_share(tmp_path):
    text = "".join(f"i={i}/530 loss={2 / i}\n" for i in range(5, 530, 25))
    (curves,) = read(tmp_path, text).trainings.values()
    assert curves.axis == "step"
    assert curves.epochs.tolist() == [*range(5, 530, 25)]


def test_a_first_epoch_that_was_broken_off_is_a_start_of_its_own(tmp_path):
    start = "".join(f"epoch 0 step {s}/9 loss {99.0 + s}\n" for s in range(4))
    whole = "".join(
        f"epoch {e} step {s}/9 loss {t}\n" for e, t, _ in losses_of(1) for s in range(1, 10)
    )
    begun = "".join(f"epoch 0 step {s}/9 loss 3.0\n" for s in range(10))
    broken, rest = read(tmp_path, start + begun + whole).trainings.values()
    assert broken.train.tolist() == [100.5]
    assert rest.train.tolist() == pytest.approx([3.0] + [t for _, t, _ in losses_of(1)])
    parts = "".join(
        f"epoch {e} step {s} loss {t}\n" for e, t, _ in losses_of(1) for s in (1, 2, 1, 2)
    )
    assert len(read(tmp_path, parts).trainings) == 1  # as every epoch has two parts


def test_who_writes_a_line_names_no_set_and_makes_no_curve_of_many_runs(tmp_path):
    text = "".join(
        f"2021-11-10 | INFO | __main__:train:35 - loss: {t}\n" for _, t, _ in losses_of(1)
    )
    with raises("log-tells-not-of-train", "loss"):
        read(tmp_path, text)


def test_a_coloured_bar_in_a_notebook_is_one_bar_though_a_callback_prints_between(tmp_path):
    bar = "\x1b[1m9/9\x1b[0m \x1b[32m━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m{s}s\x1b[0m 9ms/step - loss: {t}"
    form = f"Epoch {{e}}/6\n{bar}\nEpoch {{e}}: saving model to a.keras\n{bar} - val_loss: {{v}}\n"
    text = "".join(
        form.replace("{t}", "9.0", 1).format(e=e, t=t, v=v, s=e) for e, t, v in losses_of(1)
    )
    cells = [{"cell_type": "code", "outputs": [{"text": text.splitlines(keepends=True)}]}]
    log = read(tmp_path, json.dumps({"cells": cells}), "train.ipynb")
    assert numbers(log) == {"train": without_epochs(losses_of(1))}


def test_a_test_at_the_end_of_each_training_takes_no_epochs_from_them(tmp_path):
    tested = "".join(f"Epoch {e}: loss {t}\n" for e, t, _ in losses_of(1)) + "Test loss: 9.0\n"
    log = read(tmp_path, tested + tested)
    assert [curves.train.tolist() for curves in log.trainings.values()] == [
        [t for _, t, _ in losses_of(1)]
    ] * 2
    assert "once, at its end" in log.columns


def test_the_mean_so_far_counts_and_not_the_batch_in_front_of_it(tmp_path):
    text = "".join(
        f"Epoch {e}: {50 * half}%|██| {half}/2 [00:01<00:00, loss:{7.0 + half},epoch mean:{t}]\n"
        for e, t, _ in losses_of(1)
        for half in (1, 2)
    )
    (curves,) = read(tmp_path, text).trainings.values()
    assert curves.train.tolist() == [t for _, t, _ in losses_of(1)]


def test_lines_that_tell_the_results_of_models_are_no_epochs(tmp_path):
    text = "Baseline: parameters=42, train_loss=0.12, test_loss=0.13\nseconds 3\n"
    text += "Improved: parameters=99, train_loss=0.02, test_loss=0.03\n"
    with raises("log-lines-are-results", "Baseline, Improved"):
        read(tmp_path, text)
    ends = "".join(
        f"Epoch 39: train loss {t} val loss {v}\nmodel {t}\n" for _, t, v in losses_of(1)
    )
    with raises("log-lines-are-results", "epoch 39 6 times"):
        read(tmp_path, ends)
    assert len(read(tmp_path, ends.replace("39", "1")).trainings) == 1  # told line by line
    third = "Pruned: parameters=9, train_loss=0.03, test_loss=0.05\n"
    cell = "".join(f"Epoch {e}: loss {t} val loss {v}\n" for e, t, v in losses_of(1))
    cells = [{"cell_type": "code", "outputs": [{"text": own}]} for own in (cell, text + third)]
    log = read(tmp_path, json.dumps({"cells": cells}), "two.ipynb")
    assert list(numbers(log).values()) == [without_epochs(losses_of(1))]
    assert "Pruned" in "".join(log.left_out)


def test_a_pair_in_brackets_in_front_of_a_loss_is_its_epoch_and_its_step(tmp_path):
    text = "".join(
        f"[{e}, {1000 * part:5d}] loss: {t}\n" for e, t, _ in losses_of(1) for part in (1, 2, 3)
    )
    (curves,) = read(tmp_path, text).trainings.values()
    assert curves.epochs.tolist() == [1, 2, 3, 4, 5, 6]
    assert curves.train.tolist() == pytest.approx([t for _, t, _ in losses_of(1)])


def test_an_evaluation_that_tells_the_loss_of_each_batch_counts_by_their_mean(tmp_path):
    says = "The loss value printed in the log is the current step, and the metric is an average.\n"
    text = "".join(
        f"Epoch {e}/6\nstep 2/2 - loss: {t}\nEval begin...\n"
        f"step 1/2 - loss: {v - 0.1:.4f}\nstep 2/2 - loss: {v + 0.1:.4f}\nEval samples: 9\n"
        for e, t, v in losses_of(1)
    )
    (curves,) = read(tmp_path, says + text).trainings.values()
    assert curves.val.tolist() == pytest.approx([v for _, _, v in losses_of(1)])
    (curves,) = read(tmp_path, text).trainings.values()  # averages so far, for all that is known
    assert curves.val.tolist() == pytest.approx([v + 0.1 for _, _, v in losses_of(1)])


def test_two_programs_that_write_into_one_log_at_once_are_refused_and_not_cut_into_pieces(tmp_path):
    steps = [
        f"Epoch {e}/2 step {s}/400 loss {1 / (e + s):.4f}\n"
        for e in (1, 2)
        for s in range(0, 400, 20)
    ]
    whole = "".join(steps)
    assert [len(c.epochs) for c in read(tmp_path, whole + whole).trainings.values()] == [2, 2]
    late = "".join(f"{one}{other}" for one, other in zip(steps[-6:], steps, strict=False))
    with raises("log-mixes-trainings", "line 37"):
        read(tmp_path, "".join(steps[:-6]) + late + "".join(steps[6:]))
    ends = "".join(f"Epoch {e}/6 step 400/400 loss {t}\n" for e, t, _ in losses_of(1))
    (curves,) = read(tmp_path, ends).trainings.values()
    assert len(curves.epochs) == 6
