"""What could be read as the losses of a training, and is not: each beside a twin that is read."""

import pytest
from refusals import raises

from search.diagnostics.logs.read import read_logs

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
