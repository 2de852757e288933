"""What columns of somebody's log measure, by the names that loggers use."""

import math
import re
from collections.abc import Sequence
from functools import lru_cache

from search.diagnostics.logs.line import Line, number_in

# Losses whose names do not say so; `l_pix` is of BasicSR and what is built on it.
ENTROPIES = ("nll", "ce", "xent", "cross_entropy", "cost", "l_pix")
PARTS = ("batch_loss", *ENTROPIES)  # of an epoch, or of a sum, where others stand beside them
LOSS = re.compile(
    r"loss(?!_(?:scale|weight))|cross_?entropy$|(?:^|_)(?:nll|ce|xent|l_pix)$|^(?:train_|val_|test_)?cost$"
)
# Words of another epoch, and of a place in place of what was measured there.
OF_ANOTHER = {"best", "lowest", "min", "minimum", "previous", "prev", "improve", "improved"}
OF_ANOTHER |= {"idx", "index", "at", "after", "max", "maximum"}
# Words of what is made of losses, or set for them, and is none.
OF_ANOTHER |= {"delta", "diff", "difference", "gap", "std", "change", "threshold", "tolerance"}
SHARES = (
    "map50_95_b", "map50_95", "map_0_5_0_95", "map50_b", "map50", "map_0_5", "map", "ap",
    "miou", "mean_iou", "mean_io_u", "iou", "dice", "dice_coef", "accuracy_top1",
    "accuracy", "acc", "balanced_accuracy", "sparse_categorical_accuracy",
    "categorical_accuracy", "binary_accuracy", "acc1", "top1", "acc_top1", "f1",
    "f1_macro", "macro_f1", "f1_score", "roc_auc", "auc",
    "precision", "recall", "r2", "exact_match", "mcc", "score", "bleu", "pearson", "spearman",
)  # fmt: skip
LOWER = (
    "error", "error_rate", "mse", "mae", "rmse", "brier", "log_loss", "perplexity", "ppl", "wer",
    "cer", "mape",
)  # fmt: skip
METRICS = ("metric", *SHARES, *LOWER)
OF_DATA = ("map", "ap")  # takes a whole set of data: of validation
EVALUATED = (*OF_DATA, "miou", "accuracy_top1")  # the same, where no loss of train is beside it
ERRORS = ("rmse", "mse", "mae", "mape", "l2", "l1", "error", "merror")  # where there is no loss
OF_VAL = ("val_", "valid_", "validation_", "eval_", "dev_", "va_", "metrics_", "test_", "tst_")
OF_TRAIN = ("train_", "training_", "trn_", "tr_")
TRAIN = (
    "train_loss", "training_loss", "loss", "train_loss_epoch", "train_loss_step", "trn_loss",
    "tr_loss", "avg_train_loss", "total_loss", "all_loss", *PARTS,
    *(f"train_{name}" for name in ENTROPIES),
)  # fmt: skip
VAL = (
    *(f"{of}loss" for of in OF_VAL[:6]), "val_loss_epoch", "validation_total_loss",
    "val_total_loss", "avg_val_loss", *(f"val_{name}" for name in ENTROPIES), "test_loss",
)  # fmt: skip


@lru_cache(maxsize=1024)
def is_loss(name: str) -> bool:
    """Whether a column of this name holds a loss, as one of each epoch."""
    return LOSS.search(name) is not None and not OF_ANOTHER & set(name.split("_"))


def is_of_val(name: str) -> bool:
    """Whether a column's name says that it is of validation or test, as `avg_val_loss` too."""
    words = () if name.startswith(OF_TRAIN) else name.split("_")
    return any(f"{word}_" in OF_VAL for word in words)


def measure_of(name: str) -> str:
    """What a column measures, without the set or the data that stand in front of it; a best so far
    measures another epoch.
    """
    if OF_ANOTHER & set(name.split("_")):
        return ""
    ends = (each for each in METRICS if f"_{name}".endswith(f"_{each}"))
    return max(ends, key=len, default="")


def with_losses(
    header: Sequence[str], lines: Sequence[Line]
) -> tuple[list[str], list[Line], dict[str, str]]:
    """The columns and lines with the logarithm of a set's perplexity as its loss, where no loss of
    it is told; and of which columns such losses are made. Of test only where none is of validation.
    """
    told = {name.startswith(OF_VAL) for name in header if is_loss(name)}
    made: dict[str, str] = {}
    for of in ("", *OF_TRAIN, *OF_VAL):
        name = next((of + name for name in ("perplexity", "ppl") if of + name in header), "")
        if name and (of in OF_VAL) not in told:
            told.add(of in OF_VAL)
            made[f"{of}loss"] = name
    if not made:
        return list(header), list(lines), {}
    with_made = [
        (number, cells | {loss: _logarithm(cells.get(name, "")) for loss, name in made.items()})
        for number, cells in lines
    ]
    return [*header, *made], with_made, made


def _logarithm(cell: str) -> str:
    value = number_in(cell)
    return repr(math.log(value)) if value is not None and value > 0 else ""
