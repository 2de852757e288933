"""What a joint search's sampler is told: the infeasible never look good, and a long memory is thinned."""

import numpy as np
import pytest
from drawn import joint_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from search.stages.observations import FAR, MOST, REPEATED, Observations
from search.storage.distributions import distribution_of

TWO = ["space=[lr,dropout]", "pruner=none"]


def _observations(*words):
    plan = joint_plan(*TWO, *words)
    space = {knob.path: distribution_of(knob, ()) for knob in plan.knobs}
    return plan, Observations(plan, space)


def _point(rate, dropout=0.1):
    return {"optimizer.lr": rate, "model.dropout": dropout}


@settings(max_examples=60)
@given(
    st.lists(st.floats(-100, 1), min_size=1, max_size=8),
    st.floats(-100, 1),
    st.sampled_from([(), ("metric=log_loss",)]),
)
def test_what_is_infeasible_never_looks_better_than_anything_that_was_trained(
    values, constant, words
):
    plan, observations = _observations(*words)
    sign = plan.metric.sign
    observations.learn(_point(0.9), sign * constant, infeasible=True)
    for index, value in enumerate(values):
        observations.learn(_point(0.001 * (index + 1)), sign * value)
    told = [sign * trial.value for trial in observations.trials(for_process=False)]
    assert told[0] == pytest.approx(min(constant, *values))
    assert told[1:] == pytest.approx(values)


def test_a_long_memory_keeps_the_best_and_the_latest():
    _, observations = _observations()
    dice = np.random.default_rng(0)
    values = dice.random(1000)
    for index, value in enumerate(values):
        observations.learn(_point(10 ** (-4 + index / 300), 0.0), float(value))
    kept = {trial.value for trial in observations.trials(for_process=True)}
    assert len(kept) == MOST
    assert set(np.sort(values)[-MOST // 2 :]) <= kept
    assert set(values[-MOST // 4 :]) <= kept
    assert len(observations.trials(for_process=False)) == 1000


def test_a_repetition_is_told_once_more_and_only_the_latest_ones_stay():
    _, observations = _observations()
    observations.begin(_point(0.5))
    observations.repeat(_point(0.5))  # it still runs: there is nothing to tell
    for index in range(MOST):
        observations.learn(_point(10 ** (-4 + index / 100)), float(index))
    observations.repeat(_point(1e-4))
    observations.repeat(_point(1e-3))
    values = [trial.value for trial in observations.trials(for_process=True)]
    assert values[:MOST] == list(range(MOST))
    assert values[MOST:] == [0.0, 100.0, None]
    for _ in range(REPEATED):
        observations.repeat(_point(1e-4))
    values = [trial.value for trial in observations.trials(for_process=True)]
    assert values[MOST:] == [0.0] * REPEATED + [None]
    assert len(observations) == MOST + 1


def test_what_runs_is_told_as_running_and_a_failure_teaches_nothing():
    _, observations = _observations()
    observations.begin(_point(0.1))
    observations.begin(_point(0.2))
    observations.learn(_point(0.2), None)
    (trial,) = observations.trials(for_process=True)
    assert (trial.state.name, trial.params["optimizer.lr"]) == ("RUNNING", 0.1)
    assert len(observations) == 2
    assert _point(0.2) in observations


@pytest.mark.parametrize("words", [(), ("metric=log_loss",)])
def test_a_loss_that_exploded_does_not_make_all_others_equal_to_a_gaussian_process(words):
    plan, observations = _observations(*words)
    sign = plan.metric.sign
    good = [-0.5, -0.6, -0.7, -0.9]
    for index, value in enumerate((*good, -2.0, -3.855e19, -1e30)):
        observations.learn(_point(0.001 * (index + 1)), sign * value)
    observations.learn(_point(0.9), sign * -0.4, infeasible=True)
    told = [sign * trial.value for trial in observations.trials(for_process=True)]
    far = -0.5 - FAR * (0.6 - 0.5)  # 0.6 ends the best quarter
    assert told == pytest.approx([*good, -2.0, far, far, far])
    told = [sign * trial.value for trial in observations.trials(for_process=False)]
    assert told[-3:] == pytest.approx([-3.855e19, -1e30, -1e30])


def test_values_that_tie_at_the_top_leave_the_others_as_they_are():
    _, observations = _observations()
    for index, value in enumerate((1.0, 1.0, 1.0, 1.0, 0.5, 0.1)):
        observations.learn(_point(0.001 * (index + 1)), value)
    told = [trial.value for trial in observations.trials(for_process=True)]
    assert told == [1.0, 1.0, 1.0, 1.0, 0.5, 0.1]
    _, alike = _observations()
    alike.learn(_point(0.5), 1.0)
    assert [trial.value for trial in alike.trials(for_process=True)] == [1.0]
    assert not _observations()[1].trials(for_process=True)
