"""How chosen and baseline went by epoch: metric, rate, gradient, update, confidence (R16)."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from search.diagnostics.verdicts.trend import Columns
from search.results.places import log_ticks
from search.results.report.blocks import Figures, table_of
from search.results.report.chart import Axis, Chart, Series

POINTS = 200  # of one line
SAME = 1e-6  # share by which a constant may differ, as float32 rounds it
LOOKS = ("line", "dashed", "faint", "step")
QUANTITIES = {  # column → name of its axis, whether it spans powers of ten
    "lr": ("learning rate", True),
    "grad_norm": ("norm of the gradient", True),
    "update_ratio": ("update over weights", True),
    "confidence": ("mean greatest probability", False),
}


def epoch_figures(
    columns_of: Mapping[int, Columns],
    titles: Mapping[int, str],
    *,
    metric: str,
    shares_of: Callable[[int], Mapping[int, Mapping[str, float]]] = lambda trial: {},
) -> Figures | None:
    """A chart per recorded quantity of the trials named; None where nothing is recorded.

    Args:
        columns_of: the curves of every trial, by column.
        titles: what each trial shown is, such as chosen.
        metric: its column; it is drawn where its values on train are recorded too, beside them.
        shares_of: what `confidence_chart` takes, of a trial.
    """
    shown = {trial: title for trial, title in titles.items() if trial in columns_of}
    on_train = f"train_{metric}"
    both = [(metric, metric), (on_train, f"{metric} on train")]
    recorded = any(on_train in columns_of[trial] for trial in shown)
    known = sorted({name for trial in shown for name in columns_of[trial]})
    named = {  # beside `lr`, those of further groups of parameters: `lr_2` and so on
        quantity: [name for name in known if re.fullmatch(rf"{quantity}(_\d+)?", name)]
        for quantity in QUANTITIES
    }
    drawn = [
        _chart(columns_of, shown, both if recorded else [], axis=metric),
        *(
            _chart(
                columns_of, shown, [(name, name) for name in named[quantity]], axis=axis, log=log
            )
            for quantity, (axis, log) in QUANTITIES.items()
        ),
        *(confidence_chart(shares_of(trial), title) for trial, title in shown.items()),
    ]
    charts = [chart for chart in drawn if chart is not None]
    if not charts:
        return None
    names = ["epoch", metric, on_train, *chain(*named.values())]
    frames = [
        pd.DataFrame({"trial": trial} | {name: columns[name] for name in names if name in columns})
        for trial, columns in columns_of.items()
        if trial in shown
    ]
    table = table_of(pd.concat(frames), title="Records by epoch of these trials")
    return Figures(charts=charts, table=table, small=True)


def confidence_chart(shares_of: Mapping[int, Mapping[str, float]], title: str) -> Chart | None:
    """How sure a trial is of its classes before training, halfway and at the end (R25).

    Args:
        shares_of: by epoch, the share of validation rows per tenth of the probability of the class
            that is predicted, by the tenth's lower end.
        title: what the trial is, such as chosen.
    """
    epochs = sorted(shares_of)
    if len(epochs) < 2:
        return None
    shown = dict(zip(("faint", "dashed", "line"), (0, len(epochs) // 2, -1), strict=True))
    lines = [
        Series(
            name=f"epoch {epochs[place]}",
            look=look,
            x=[float(tenth) + 0.05 for tenth in shares_of[epochs[place]]],
            y=list(shares_of[epochs[place]].values()),
        )
        for look, place in shown.items()
    ]
    return Chart(
        title=f"confidence of {title} (R25)",
        alt=f"share of validation rows by the probability of the class predicted, of {title}, "
        f"at epochs {', '.join(str(epochs[place]) for place in shown.values())}",
        series=lines,
        x=Axis(title="probability of the predicted class", limits=(0.0, 1.0)),
        y=Axis(title="share of validation rows", limits=(0.0, 1.0)),
    )


def _chart(
    columns_of: Mapping[int, Columns],
    shown: Mapping[int, str],
    quantities: Sequence[tuple[str, str]],
    *,
    axis: str,
    log: bool = False,
) -> Chart | None:
    """None where none of the trials has a finite number of it."""
    lines: list[Series] = []
    for column, name in quantities:
        for trial, title in shown.items():
            numbers = columns_of[trial].get(column)
            if numbers is None or not np.isfinite(numbers).any():
                continue
            epochs = np.asarray(columns_of[trial]["epoch"])
            places = np.unique(np.linspace(0, len(epochs) - 1, POINTS).astype(int))
            lines.append(
                Series(
                    name=f"{name}, {title}" if len(quantities) > 1 else title,
                    look=LOOKS[len(lines) % len(LOOKS)],
                    x=epochs[places].tolist(),
                    y=np.asarray(numbers, dtype=float)[places].tolist(),
                )
            )
    if not lines:
        return None
    values = [
        value for line in lines for value in line.y if value is not None and math.isfinite(value)
    ]
    low, high = min(values, default=0.0), max(values, default=0.0)
    is_constant = math.isclose(low, high, rel_tol=SAME)
    is_log = log and 0 < 10 * low <= high  # one power of ten is too little for a log scale
    return Chart(
        title=f"{axis} by epoch",
        alt=f"{axis} at every epoch, of {' and '.join(shown.values())}",
        series=lines,
        x=Axis(title="epoch", whole=True),
        y=Axis(
            title=axis,
            log=is_log,
            ticks=log_ticks(low, high, most=5) if is_log else {},
            limits=(0.0, 2 * high) if is_constant and low > 0 else None,  # in the middle
        ),
    )
