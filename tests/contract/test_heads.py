"""Several heads: each target's loss by its weight, the target's metric alone, one scale (R6, R50)."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from refusals import raises
from sklearn.metrics import accuracy_score, r2_score
from torch import nn

from search.config.compose import compose_experiment
from search.config.plan import check_task, read_plan
from search.config.trial_config import TrialConfigs
from search.contract.auxiliary import further_targets, scaled_targets
from search.contract.contract import prepare
from search.contract.dataset import completed
from search.contract.normalisation import fit_scaling
from search.diagnostics.verdicts.heads import heads_apart
from search.execution.dry_run import questions
from search.execution.worker.dry_run import answer
from trainers.checkpoint import Unsaved
from trainers.data import DataError
from trainers.data.npz import load as load_npz
from trainers.data.table import load as load_table
from trainers.heads import Heads
from trainers.stock import Stock

TASKS = "data.auxiliary={price: regression, kind: classification}"


@pytest.fixture
def table(tmp_path):
    """600 rows: three labels of one sum, its price in hundreds, and a kind of two features."""
    dice, path = np.random.default_rng(0), tmp_path / "heads.csv"
    x = dice.normal(size=(600, 4))
    total = x.sum(axis=1)
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["label"] = np.select([total > 1, total < -1], ["hi", "lo"], "mid")
    frame["price"] = 100 * total + 7
    frame["kind"] = np.where(x[:, 0] > 0, "k", "m")
    frame["colour"] = ["red", "blue", None] * 200
    frame.to_csv(path, index=False)
    return [
        *("data=csv", f"data.path={path}", "data.task=classification", "data.target=label"),
        "data.categorical=[colour]",
    ]


def _plan(*words):
    config = compose_experiment("lr_sweep", overrides=list(words), config_dir=None)
    return read_plan(completed(config), root=Path.cwd())


def _trained(plan, data, epochs):
    """The last epoch of a training, and its yields."""
    config = TrialConfigs(plan.config).resolve(knobs={}, seed=0)
    seats = Stock(data=data, device="cpu")
    seats.admit(0, config=config, checkpoint=Unsaved())
    return [seats.step()[0] for _ in range(epochs + 1)][-1].values


def test_the_loss_is_the_weighted_sum_of_torch_s_own():
    outputs = torch.randn(20, 3 + 1 + 2)
    classes, kinds, price = torch.arange(20) % 3, torch.arange(20) % 2, torch.randn(20)
    targets = torch.stack([classes.float(), price, kinds.float()], dim=1)
    heads = Heads(
        task="classification", outputs=6, heads={"price": 1, "kind": 2}, weights={"price": 0.5}
    )
    expected = (
        nn.functional.cross_entropy(outputs[:, :3], classes)
        + 0.5 * nn.functional.mse_loss(outputs[:, 3], price)
        + nn.functional.cross_entropy(outputs[:, 4:], kinds)
    )
    assert float(heads(outputs, targets)) == pytest.approx(float(expected))
    assert torch.equal(heads.predictions(outputs), outputs[:, :3])
    numbers = Heads(task="regression", outputs=3, heads={"kind": 2}, main=nn.L1Loss())
    both = torch.stack([price, kinds.float()], dim=1)
    assert float(numbers.parts(outputs[:, 3:], both)["main"]) == pytest.approx(
        float(nn.functional.l1_loss(outputs[:, 3], price))
    )


@pytest.mark.slow
def test_every_head_learns_and_a_head_without_weight_does_not(table):
    losses = {}
    for weight in (1, 0):
        plan = _plan(*table, TASKS, "loss=heads", f"loss.weights={{price: {weight}}}")
        assert plan.config.data.outputs == 3 + 1 + 2
        assert answer(questions(plan)).wrong == ""
        check_task(plan)
        prepared = prepare(plan.config, metric=plan.metric)
        losses[weight] = _trained(plan, next(prepared.folds()).data, epochs=12)
    (note,) = prepared.notes
    assert "'colour': 200 of 600 rows have no category" in note
    assert losses[1]["predictions"].shape == (len(prepared.split.folds[0].val), 3)
    whole = sum(losses[1][f"val_loss_{name}"] for name in ("main", "price", "kind"))
    assert losses[1]["val_loss"] == pytest.approx(whole, rel=1e-4)
    assert losses[1]["val_loss_price"] < 0.2 < 0.8 < losses[0]["val_loss_price"]
    assert losses[1]["val_loss_main"] < 0.5
    assert losses[0]["val_loss_kind"] < 0.3
    assert losses[0]["r2_price"] < 0.2 < 0.8 < losses[1]["r2_price"]
    assert losses[0]["accuracy_kind"] > 0.9


def test_scores_of_further_heads_are_scikit_learn_s():
    outputs, price, kinds = torch.randn(50, 6), torch.randn(50), torch.arange(50) % 2
    targets = torch.stack([torch.zeros(50), price, kinds.float()], dim=1)
    heads = Heads(task="classification", outputs=6, heads={"price": 1, "kind": 2})
    scores = heads.scores(outputs, targets)
    assert scores["r2_price"] == pytest.approx(r2_score(price, outputs[:, 3]), rel=1e-4)
    right = accuracy_score(kinds, outputs[:, 4:].argmax(1))
    assert scores["accuracy_kind"] == pytest.approx(right)
    targets[:, 1] = 2.0
    assert not np.isfinite(heads.scores(outputs, targets)["r2_price"])


def test_arrays_and_sequences_have_further_targets_too(tmp_path):
    dice = np.random.default_rng(0)
    x, price = dice.normal(size=(30, 4)), dice.normal(size=30)
    sets = {"x_test": x[:5], "y_test": np.arange(5) % 2, "price_test": price[:5] + 1}
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(30) % 2, price=price, **sets)
    rows = load_npz(path=str(tmp_path / "a.npz"), auxiliary={"price": "regression"})
    assert rows.auxiliary["price"].tolist() == [*price, *(price[:5] + 1)]
    steps = pd.DataFrame({"who": list("aabbb"), "x": range(5), "y": [0, 0, 1, 1, 1]})
    steps.assign(price=[7, 7, 3, 3, 3]).to_csv(tmp_path / "s.csv", index=False)
    words = {"path": str(tmp_path / "s.csv"), "target": "y", "sequence": "who"}
    assert load_table(**words, auxiliary={"price": "regression"}).auxiliary["price"].tolist() == [7, 3]  # fmt: skip
    steps.assign(price=[7, 7, 3, 4, 3]).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(DataError, match=r"price.*'b'.*data\.auxiliary"):
        load_table(**words, auxiliary={"price": "regression"})


def test_a_target_that_never_changes_in_train_keeps_its_scale():
    y = np.array([[0.1]] * 7 + [[0.2]])  # whose standard deviation is 1e-17
    train, node = np.arange(7), OmegaConf.create({"_target_": None, "target": True})
    scaling = fit_scaling(node, y[train], y[train], impute=None)
    scaled = scaled_targets(y, {"price": 1}, train)
    assert [scaling.targets(y)[-1, 0], scaled[-1, 0]] == pytest.approx([0.1, 0.1])


def test_further_targets_are_scaled_by_train_and_never_reach_the_features(table):
    plan = _plan(*table, TASKS, "loss=heads")
    prepared = prepare(plan.config, metric=plan.metric)
    train = prepared.final.train
    assert train.x.shape[1] == 4 + 2
    assert train.auxiliary[:, 0].mean() == pytest.approx(0, abs=1e-5)
    assert train.auxiliary[:, 0].std() == pytest.approx(1, abs=1e-4)
    assert set(train.auxiliary[:, 1]) == {0.0, 1.0}
    assert len(prepared.final.test.auxiliary) == len(prepared.final.test.y)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([TASKS], ("loss-has-one-head", "data.auxiliary")),
        (
            ["data.auxiliary={price: counts}", "data.drop=[kind]"],
            ("unknown-task-of-further-target",),
        ),
        (
            ["data.auxiliary={kind: regression}", "data.drop=[price]"],
            ("further-target-not-numbers",),
        ),
        (
            ["data.auxiliary={prize: regression}", "data.drop=[kind]"],
            ("data-cannot-be-read", "data.auxiliary"),
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words(words, message, table):
    with raises(*message):
        check_task(_plan(*table, *words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.drop=[price,kind]"], r"data\.auxiliary"),
        ([TASKS, "loss.weights={prize: 1}"], r"^loss\.weights\.prize: .*price, kind$"),
        ([TASKS, "loss.weights={price: -1}"], r"^loss\.weights\.price: .*-1"),
    ],
)
def test_heads_that_cannot_be_built_are_refused_by_the_dry_run(words, message, table):

    assert re.search(message, answer(questions(_plan(*table, "loss=heads", *words))).wrong)


def test_losses_that_are_not_on_one_scale_are_said_and_others_never():
    columns = {"val_loss_main": [1.1, 0.2], "val_loss_price": [1.0, 0.01], "val_loss": [2.1, 0.2]}
    assert heads_apart(columns, {}) is None  # learned well at the end is no fault
    assert heads_apart({"val_loss": [1.0]}, {"price": 100.0}) is None
    said = heads_apart(columns, {"price": 100.0})
    assert said.rule == "R6"
    assert "price weighs 100, main 1.1, 91 times less; lower loss.weights.price" in said.says
    assert "raise loss.weights.price" in heads_apart(columns, {"price": 0.01}).says
    assert heads_apart(columns, {"price": 0.0}) is None


def test_further_targets_of_another_task_or_of_no_column_are_refused():
    columns = {"price": np.zeros(3)}
    with raises("auxiliary-needs-other-task", "data.task=tagging", "data.auxiliary"):
        further_targets(columns, {"price": "regression"}, task="tagging")
    with raises("further-target-not-a-column", "prize", "price"):
        further_targets(columns, {"prize": "regression"}, task="classification")
