"""The guide's worked case: a wide model on few noisy points, its verdict, and the remedy's effect."""

import numpy as np
import pandas as pd
import pytest
from kit import INLINE, search, trials


@pytest.mark.slow
def test_two_layers_of_200_units_overfit_a_few_noisy_points_and_dropout_lowers_the_loss(elsewhere):
    dice, sets = np.random.default_rng(0), {}
    for name, count in (("", 120), ("_val", 400), ("_test", 200)):
        x = dice.uniform(-2, 2, (count, 2))
        y = (x.sum(axis=1) > 0).astype(np.int64)
        sets[f"y{name}"] = np.where(dice.random(count) < 0.05, 1 - y, y)
        noise = dice.normal(size=(count, 6))
        sets[f"x{name}"] = np.concatenate([x + dice.normal(0, 0.2, x.shape), noise], axis=1)
    np.savez("points.npz", **sets)
    words = [
        *("dropout_sweep", "data=npz", "data.path=points.npz", "data.task=classification"),
        *("split=predefined", "split.val=given", "metric=log_loss", *INLINE),
        *("model.width=200", "model.depth=2", "optimizer=adam", "optimizer.lr=3e-3"),
        *("trainer.epochs=40", "trainer.patience=null", "trainer.score=last"),
        "space.model.dropout.points=3",
        *("protocol.refine=0", "protocol.extend=0", "protocol.most_seeds=3", "report=off"),
    ]
    done = search(*words, cwd=elsewhere, timeout=240)
    assert done.returncode == 0, done.stderr
    folder = elsewhere / "results" / "dropout_sweep"
    rows = trials(folder).set_index("trial")
    assert (rows[rows["model.dropout"] == 0]["verdict"] == "overfitting").all()
    assert "next: overfitting: change train rows anew in every epoch" in done.stdout
    assert "model.dropout = 0.7 is adopted" in done.stdout
    summary = pd.read_csv(folder / "summary.csv").set_index("model.dropout")
    assert summary.loc[0.0, "decision"] == "baseline, worse"
    curves = pd.read_parquet(folder / "curves.parquet")
    ends = curves[curves["epoch"] == 40].groupby("trial")["val_loss"].first()
    assert np.allclose(ends, rows["value"])  # the last epoch's loss is what is decided by
    losses = ends.groupby(rows["model.dropout"]).mean()
    assert losses.loc[0.0] - losses.loc[0.7] > 0.2
