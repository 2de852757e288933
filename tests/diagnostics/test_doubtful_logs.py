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
    (curves,) = read_of(tmp_path, lines_of(f"epoch {{e}}: loss={{t}}, {share}\n")).trainings.values()
    assert (curves.held_out, curves.train.tolist()) == (False, TRAIN)
    beside = lines_of("epoch {e}: train loss={t}, val loss={v} {e}%|## |\n")
    (curves,) = read_of(tmp_path, beside).trainings.values()
    assert curves.val.tolist() == VAL
