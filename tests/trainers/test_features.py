"""Features made of features: fitted on the trial's own train rows, as wide as they come out (R54)."""

from typing import ClassVar

import numpy as np
import pytest
from kit import INLINE, search, trials
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif

from trainers.api import Checkpoint, Data, Epoch, Part
from trainers.callable import open_seats, rehearse
from trainers.checkpoint import Unsaved
from trainers.features import KBest, with_features

DICE = np.random.default_rng(0)
K_BEST = {"k_best": {"_target_": "trainers.features.KBest", "share": 0.5, "k": None}}
PROJECTED = {"pca": {"_target_": "sklearn.decomposition.PCA", "n_components": 3}}
BINS = {
    "bins": {
        "_target_": "sklearn.preprocessing.KBinsDiscretizer",
        **{"n_bins": 4, "encode": "onehot-dense", "strategy": "uniform", "subsample": None},
    }
}


def _config(features, **trainer):
    return {
        "seed": 0,
        "features": features,
        "trainer": {"_target_": "trainers.stock.Stock", "epochs": 2, "batch_size": 16, **trainer},
        "model": {
            "_target_": "trainers.models.mlp.MLP",
            **{"inputs": 12, "outputs": 2, "width": 8, "depth": 1, "dropout": 0.0},
        },
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
        "metric": {"name": "accuracy"},
    }


def _part(start, count, *, useless=10):
    dice = np.random.default_rng(start)
    y = dice.integers(0, 2, count)
    told = dice.normal(size=(count, 2)) + 2 * y[:, None]
    x = np.concatenate([dice.normal(size=(count, useless)), told], axis=1).astype(np.float32)
    return Part(index=np.arange(start, start + count), x=x, y=y)


def _data(**sizes):
    return Data(
        train=_part(0, 80, **sizes), val=_part(100, 40, **sizes), test=_part(200, 20, **sizes)
    )


def test_the_best_features_are_scikit_learns_and_the_informative_ones():
    part = _part(0, 80)
    ours = KBest(k=4).fit(part.x, part.y)
    theirs = SelectKBest(f_classif, k=4).fit(part.x, part.y)
    assert ours.kept_.tolist() == theirs.get_support(indices=True).tolist()
    assert {10, 11} <= set(ours.kept_)
    numbers = part.x[:, 3] + 0.01 * part.x[:, 5]  # a regression
    assert 3 in KBest(k=1).fit(part.x, numbers.astype(np.float32)).kept_
    still = np.concatenate([np.ones((80, 1)), part.x], axis=1)  # a feature that never changes
    assert 0 not in KBest(share=0.5).fit(still, part.y).kept_


def test_steps_follow_each_other_and_the_model_gets_the_width_that_comes_out():
    config, data = with_features(_config({**K_BEST, **BINS, **PROJECTED}), _data())
    assert config["model"]["inputs"] == 3
    assert [part.x.shape for part in (data.train, data.val, data.test)] == [
        (80, 3),
        (40, 3),
        (20, 3),
    ]
    assert config["features"] == {}
    again, same = with_features(config, data)  # nothing is transformed twice
    assert again is config
    assert same is data
    wide, _ = with_features(_config(BINS), _data())
    assert wide["model"]["inputs"] == 12 * 4


class Recorded(PCA):
    """A transformer that records which rows reach it."""

    fitted: ClassVar[list[np.ndarray]] = []
    transformed: ClassVar[list[np.ndarray]] = []

    def fit(self, x, y=None):
        Recorded.fitted.append(x.copy())
        return super().fit(x, y)

    def transform(self, x):
        Recorded.transformed.append(x.copy())
        return super().transform(x)


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_validation_and_test_rows_never_reach_fit(fraction):
    Recorded.fitted, Recorded.transformed = [], []
    data = _data()
    config = _config(
        {"own": {"_target_": "test_features.Recorded", "n_components": 2}}, fraction=fraction
    )
    changed = Data(
        train=data.train,
        val=Part(index=data.val.index, x=data.val.x + 1000, y=data.val.y),
        test=Part(index=data.test.index, x=data.test.x - 1000, y=data.test.y),
    )
    _, plain = with_features(config, data)
    _, shifted = with_features(config, changed)
    assert all(np.abs(rows).max() < 100 for rows in Recorded.fitted)
    assert [len(rows) for rows in Recorded.fitted] == [80 * fraction] * 2
    known = {tuple(row) for row in data.train.x}
    assert {tuple(row) for row in Recorded.fitted[0]} <= known
    assert np.array_equal(plain.train.x, shifted.train.x)  # whatever validation and test hold


def _trained(configs, *, data=None):
    """The epochs of some trials that sit together."""
    seats = open_seats("trainers.stock.Stock", data=data or _data(), device="cpu")
    for trial, config in enumerate(configs):
        seats.admit(trial, config=config, checkpoint=Unsaved())
    told = {trial: [] for trial in range(len(configs))}
    for _ in range(3):
        for outcome in seats.step():
            assert isinstance(outcome, Epoch), outcome
            told[outcome.trial].append(outcome.values["val_loss"])
    return told, seats


def test_trials_of_other_features_train_beside_each_other_as_they_do_alone():
    configs = [_config({}), _config(K_BEST), _config(PROJECTED)]
    together, seats = _trained(configs)
    for trial, config in enumerate(configs):
        alone, _ = _trained([config])
        assert together[trial] == alone[0]
    assert len({tuple(losses) for losses in together.values()}) == 3
    names = [seats.key(config).name for config in configs]
    assert len(set(names)) == 3
    assert seats.key({**_config(K_BEST), "seed": 5}).name == names[1]


def test_lanes_of_one_choice_of_features_give_what_training_alone_gives():
    configs = [{**_config(K_BEST), "optimizer": {"_target_": "torch.optim.SGD", "lr": rate}}
               for rate in (0.1, 0.2)]  # fmt: skip
    alone, seats = _trained(configs)
    fused = open_seats("trainers.stock.Stock", data=_data(), device="cpu")
    fused.fuse(seats.key(configs[0]).name)
    for trial, config in enumerate(configs):
        fused.admit(trial, config=config, checkpoint=Unsaved())
    told = {0: [], 1: []}
    for _ in range(3):
        for outcome in fused.step():
            told[outcome.trial].append(outcome.values["val_loss"])
    for trial in told:
        assert told[trial] == pytest.approx(alone[trial], rel=1e-4)


def _own(config, data, device, checkpoint: Checkpoint):
    yield {"val_loss": 1.0, "width": data.train.x.shape[1], "inputs": config["model"]["inputs"]}


def test_a_trainer_of_ones_own_gets_the_transformed_rows_too():
    seats = open_seats("test_features._own", data=_data(), device="cpu")
    seats.admit(0, config=_config(K_BEST), checkpoint=Unsaved())
    (outcome,) = seats.step()
    assert (outcome.values["width"], outcome.values["inputs"]) == (6, 6)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"a": {"_target_": "sklearn.decomposition.Pca"}}, r"features\.a\._target_: .* must be a class"),
        ({"a": {"_target_": "sklearn.decomposition.PCA", "k": 3}}, "takes the keys of features.a"),
        ({"a": {"_target_": "builtins.dict"}}, "a transformer with fit and transform, but got dict"),
        ({"a": 3}, "must hold _target_ and the keys of a transformer, but got 3"),
        ({"k_best": {**K_BEST["k_best"], "k": 13}}, "k must lie between 1 and the 12 features, but got 13"),
        ({"k_best": {**K_BEST["k_best"], "share": 0}}, "share must be above 0 and at most 1, but got 0"),
        ({"pca": {**PROJECTED["pca"], "n_components": 50}}, r"features\.pca: must take rows of 12 features"),
        ({"bins": {**BINS["bins"], "encode": "onehot"}}, "must return finite numbers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(features, message):
    with pytest.raises((ValueError, TypeError), match=message):
        with_features(_config(features), _data())


def test_rows_without_a_table_and_models_without_inputs_are_refused():
    rows = np.arange(5)
    own = Data(train=Part(index=rows), val=Part(index=rows))
    with pytest.raises(ValueError, match="data=own gives row numbers only"):
        with_features(_config(K_BEST), own)
    x = np.zeros((5, 4), dtype=np.int64)
    tokens = Part(index=rows, x=x, y=rows % 2, lengths=rows + 1, tokens=True)
    with pytest.raises(ValueError, match="the data are sequences with lengths or tokens"):
        with_features(_config(K_BEST), Data(train=tokens, val=tokens))
    seats = open_seats("trainers.stock.Stock", data=_data(), device="cpu")
    config = {
        **_config(K_BEST),
        "model": {"_target_": "torch.nn.Linear", "in_features": 12, "out_features": 2},
    }
    with pytest.raises(TypeError, match=r"a model must take as model\.inputs"):
        seats.admit(0, config=config, checkpoint=Unsaved())


def test_the_dry_run_tells_two_choices_of_features_apart_and_refuses_a_wrong_one():
    shape = (12, 2, "classification")
    half, all_ = (
        rehearse(_config({"k_best": {**K_BEST["k_best"], "share": share}}), shape)
        for share in (0.5, 1.0)
    )
    assert half != all_
    with pytest.raises(TypeError, match=r"features\.k_best\._target_"):
        rehearse(_config({"k_best": {"_target_": "trainers.features.KBest", "part": 1}}), shape)


def test_two_hundred_useless_features_cost_and_the_best_few_do_not():
    data = _data(useless=200)
    base = {**_config({}), "trainer": {"epochs": 20, "batch_size": 16}}
    base["model"] = {**base["model"], "inputs": 202, "width": 64}
    base["optimizer"] = {"_target_": "torch.optim.Adam", "lr": 0.003}

    def loss(features):
        seats = open_seats("trainers.stock.Stock", data=data, device="cpu")
        seats.admit(0, config={**base, "features": features}, checkpoint=Unsaved())
        losses = [seats.step()[0].values["val_loss"] for _ in range(21)]
        return min(losses[1:])

    few = {"k_best": {**K_BEST["k_best"], "k": 4}}
    assert loss(few) < loss({}) - 0.1


@pytest.mark.slow
def test_a_sweep_of_features_on_folds_finds_the_useful_few_and_its_test_opens(elsewhere):
    dice = np.random.default_rng(1)
    y = dice.integers(0, 2, 240)
    x = dice.normal(size=(240, 100))
    x[:, :2] += 1.2 * y[:, None]
    np.savez("wide.npz", x=x, y=y)
    words = ["k_best_sweep", *INLINE, "data=npz", "data.path=wide.npz", "data.task=classification", "seeds=2",
             "split=kfold", "split.folds=3", "trainer.epochs=6", "space.features.k_best.share.points=3",
             "protocol.refine=0", "protocol.extend=0", "protocol.most_seeds=2"]  # fmt: skip
    done = search(*words, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    rows = trials(elsewhere / "results" / "k_best_sweep")
    means = rows.groupby("features.k_best.share")["value"].mean()
    assert means[0.02] > means[1.0]
    assert search("test", "k_best_sweep", cwd=elsewhere).returncode == 0
