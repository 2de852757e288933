"""What several heads have learned, and whether their losses are on one scale (R6).

The greatest loss would teach the model alone.
"""

from collections.abc import Collection, Mapping

import numpy as np

from search.diagnostics.verdicts.across_trials import Together
from search.diagnostics.verdicts.trend import Columns

LOSS, MAIN = "val_loss_", "main"  # columns of the curves, by head; the target's own head
APART = 10.0  # factor between two weighted losses above which they are said to be apart

SCORES = ("accuracy_", "r2_")  # columns of the curves, by head


def heads_scores(columns: Columns, names: Collection[str]) -> Columns:
    """The scores of further heads by epoch, by column.

    `columns`: of one training's curves, by epoch.
    """
    wanted = [f"{score}{name}" for name in names for score in SCORES]
    return {column: columns[column] for column in wanted if column in columns}


def heads_apart(columns: Columns, weights: Mapping[str, float]) -> Together | None:
    """Says so where one head's weighted loss is more than ten times another's at the beginning.

    Later on, a head that is learned well has a small loss, which is no fault.

    Args:
        columns: of one training's curves, by epoch.
        weights: of the heads; the target's is 1.
    """
    losses = {
        name.removeprefix(LOSS): float(values[0])
        for name, values in columns.items()
        if name.startswith(LOSS)
    }
    shares = {name: weights.get(name, 1.0) * loss for name, loss in losses.items()}
    counted = {name: share for name, share in shares.items() if share > 0 and np.isfinite(share)}
    if MAIN not in losses or len(counted) < 2:
        return None
    high, low = max(counted, key=counted.__getitem__), min(counted, key=counted.__getitem__)
    ratio = counted[high] / counted[low]
    if ratio <= APART:
        return None
    turn = f"lower loss.weights.{high}" if high != MAIN else f"raise loss.weights.{low}"
    says = (
        f"the heads' losses are not on one scale: {high} weighs {counted[high]:.3g}, {low} "
        f"{counted[low]:.3g}, {ratio:.0f} times less; {turn}, or check the targets' units"
    )
    return Together(name="heads_apart", rule="R6", says=says)
