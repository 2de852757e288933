"""Which column of somebody's log is what, by the names that loggers use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.diagnostics.verdicts.from_columns import EXTRA
from search.errors import UsageError, broken_rule

TRAIN = (
    "train_loss",
    "training_loss",
    "loss",
    "loss_train",
    "train_loss_epoch",
    "train_loss_step",
    "trn_loss",
    "avg_train_loss",
)
VAL = (
    "val_loss",
    "valid_loss",
    "validation_loss",
    "loss_val",
    "eval_loss",
    "dev_loss",
    "val_loss_epoch",
    "test_loss",
)
EPOCH, TRIAL = ("epoch", "epochs", ""), ("trial", "run", "fold")  # a frame's index has no name
SHARES = (
    "accuracy",
    "acc",
    "balanced_accuracy",
    "f1",
    "precision",
    "recall",
    "roc_auc",
    "auc",
    "r2",
)
LOWER = (
    "error",
    "error_rate",
    "mse",
    "mae",
    "rmse",
    "brier",
    "log_loss",
    "perplexity",
    "ppl",
    "wer",
    "cer",
    "mape",
)
METRICS = ("metric", *SHARES, *LOWER)
OF_VAL = ("val_", "valid_", "validation_", "eval_")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which column is what; `metric` and `trial` are empty where there is none."""

    epoch: str
    train: str
    val: str
    metric: str
    trial: str
    extra: tuple[str, ...]
    steps: bool


def layout_of(path: Path, header: Sequence[str]) -> Layout:
    """The first known name of each kind; of train, validation and epoch there must be one."""
    epoch, train, val = (_column(path, header, names) for names in (EPOCH, TRAIN, VAL))
    metrics = [before + name for before in OF_VAL for name in METRICS]
    own = (
        METRICS if train != "loss" else ("metric",)
    )  # beside a plain `loss`, a plain `accuracy` is train's
    metric = next((name for name in (*metrics, *own) if name in header), "")
    trial = next((name for name in TRIAL if name in header), "")
    extra = tuple(name for name in ("train_eval_loss", *EXTRA) if name in header)
    return Layout(
        epoch=epoch,
        train=train,
        val=val,
        metric=metric,
        trial=trial,
        extra=extra,
        steps="step" in header,
    )


def _column(path: Path, header: Sequence[str], names: Sequence[str]) -> str:
    found = next((name for name in names if name in header), None)
    if found is None:
        rule = f"needs a column {names[0]} (or {', '.join(filter(None, names[1:]))})"
        remedy = "rename the one that holds it, or write it"
        raise UsageError(
            broken_rule(str(path), rule=rule, got=", ".join(filter(None, header)), remedy=remedy)
        )
    return found
