"""Whether the epochs that a text names beside losses were read, counted without the reader."""

import re
from collections.abc import Sequence
from pathlib import Path

from search.diagnostics.logs.line import Line
from search.diagnostics.logs.losses import FEW
from search.diagnostics.logs.printed_lines import SETTING
from search.diagnostics.logs.told_numbers import LONGEST, is_command
from search.errors import refused

# `Epoch 3`, `[epoch: 3]`, `epoch=3/10`; no share of a bar, and no `5s/epoch - 588ms`.
NAMED = re.compile(r"(?<![\w/])epoch\W{0,4}(\d+)(?![\d.]*%|\w)", re.I)
LOSS = re.compile(r"loss[\w )\]]{0,12}[:= ]+[-+]?\d*\.\d", re.I)
MISSED = 0.1  # of the epochs named, from which the text is of a form that is not understood
LEAST = 2


def refuse_unread(path: Path, text: str, lines: Sequence[Line]) -> None:
    """Refuses a text whose epochs the reader passed over, whatever its form: what is left of them
    looks like a training, and is none.

    Raises:
        UsageError: of three epochs or more that are named beside losses, a tenth stand in no line,
            and two at least; of fewer, which are told step by step, the steps count.
    """
    named: dict[int, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if "poch" not in line and "POCH" not in line:
            continue
        start = line[:LONGEST]
        epoch = NAMED.search(start)
        if epoch and LOSS.search(start) and not (SETTING.match(start) or is_command(start)):
            named.setdefault(int(epoch[1]), number)
    if len(named) < FEW:
        return
    told = {cell.partition("/")[0] for cell in {c for _, cells in lines for c in cells.values()}}
    missed = [epoch for epoch in named if told.isdisjoint((str(epoch), f"{epoch}.0"))]
    if len(missed) < max(LEAST, MISSED * len(named)):
        return
    where = f"{path}: line {named[missed[0]]}"
    rule = "each epoch that a line names beside a loss must be read"
    got = f"{len(missed)} of {len(named)} that were not, as epoch {missed[0]}"
    remedy = "write lines such as `epoch 3: train_loss=0.5 val_loss=0.6`"
    raise refused(where, code="log-epochs-not-read", rule=rule, got=got, remedy=remedy)
