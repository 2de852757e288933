"""What a joint search reads of earlier trials is what their whole configs say, though hardly any is made."""

import sys

import pytest
from drawn import plan_of
from omegaconf import OmegaConf

from search.config.trial_config import trial_config
from search.results.warm_start import Searched, Trained, trained_keys

BATCH, RATE = {"trainer.batch_size": 64}, {"optimizer.lr": 0.3, "optimizer.momentum": 0}
CASES = [
    ("lr_sweep", (), RATE),
    ("lr_sweep", (), {}),
    ("lr_sweep", ("optimizer.momentum=${optimizer.lr}",), {"optimizer.lr": 0.3}),
    ("batch_size_sweep", (), BATCH),
    ("joint", (), {**RATE, "model.dropout": 0.5, "model.width": 64}),
    ("optimizer_sweep", (), {"optimizer": "adam", "optimizer.adam.lr": 0.01}),
    ("optimizer_sweep", (), {"optimizer": "sgd", "optimizer.sgd.lr": 0.01}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("experiment", "words", "knobs"), CASES)
def test_keys_and_values_of_a_trial_are_those_of_its_whole_config(experiment, words, knobs):
    config = plan_of(experiment, *words).config
    trial = Trained(Searched(config), knobs, seed=7)
    whole = trial_config(config, knobs=knobs, seed=7)
    assert trial.keys() == trained_keys(whole)
    for path in ("optimizer.lr", "optimizer.momentum", "trainer.batch_size", "model.width"):
        assert trial.value(path) == OmegaConf.select(whole, path)


def test_a_trial_that_changes_numbers_costs_no_config():
    searched, calls = Searched(plan_of("joint").config), []
    sys.setprofile(lambda frame, event, argument: calls.append(frame.f_code.co_name))
    try:
        trial = Trained(searched, RATE, seed=7)
        assert (trial.keys()["optimizer.lr"], trial.value("optimizer.lr")) == (0.3, 0.3)
    finally:
        sys.setprofile(None)
    assert "trial_config" not in calls
    assert len(calls) < 100
