"""A plain training script, without any import of Knobwise. python -m search own_command runs it."""

import argparse
import json
import os
import pathlib

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--epochs", type=int, default=20)
options = parser.parse_args()

# row numbers of train and validation; the test rows are sealed
split = np.load(os.environ["KNOBWISE_SPLIT"])
kept = pathlib.Path(os.environ["KNOBWISE_CHECKPOINT"]) / "weights.npz"  # this trial's own folder
x, y = load_digits(return_X_y=True)
model = SGDClassifier(learning_rate="constant", eta0=options.lr, loss="log_loss")
first = 1
if kept.exists():  # a trial that was interrupted goes on
    saved = np.load(kept)
    model.coef_ = saved["coef"]
    model.intercept_ = saved["intercept"]
    model.classes_ = np.arange(10)
    model.t_ = float(saved["t"])
    first = int(saved["epoch"]) + 1
for epoch in range(first, options.epochs + 1):
    rows = np.random.default_rng([options.seed, epoch]).permutation(split["train"])
    model.random_state = options.seed * 1000 + epoch
    model.partial_fit(x[rows] / 16, y[rows], classes=np.arange(10))
    right = model.score(x[split["val"]] / 16, y[split["val"]])
    print(json.dumps({"epoch": epoch, "accuracy": right}), flush=True)  # first printed …
    np.savez(
        kept.with_suffix(".new.npz"),
        coef=model.coef_,
        intercept=model.intercept_,
        t=model.t_,
        epoch=epoch,
    )
    os.replace(kept.with_suffix(".new.npz"), kept)  # … then saved
