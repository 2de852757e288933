"""Optimizers of our own: their papers' formulas, step by step."""

import copy
import functools
import itertools
import math

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from trainers.build import build, take_step
from trainers.optimizers import SWATS, AdaBound

GRADIENTS = [1.0, -0.5, 2.0, 0.25, 1.5, -3.0]
LR, BETA1, BETA2, EPS = 0.01, 0.9, 0.999, 1e-8


def steps_of(optimizer, weights, gradients):
    """The weights after each step with these gradients."""
    told = []
    for gradient in gradients:
        weights.grad = torch.full_like(weights, gradient)
        optimizer.step()
        told.append(weights.tolist())
    return told


def weight(*values):
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def test_adabound_steps_as_its_paper_says():
    w, m, v, expected = 1.0, 0.0, 0.0, []
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient + 0.1 * w
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
        low, high = 0.1 * (1 - 1 / (0.05 * t + 1)), 0.1 * (1 + 1 / (0.05 * t))
        rate = LR * math.sqrt(1 - BETA2**t) / (1 - BETA1**t) / (math.sqrt(v) + EPS)
        w -= min(max(rate, low), high) * m
        expected.append([pytest.approx(w, abs=1e-12)])
    weights = weight(1.0)
    optimizer = AdaBound([weights], lr=LR, final_lr=0.1, gamma=0.05, weight_decay=0.1)
    assert steps_of(optimizer, weights, GRADIENTS) == expected


def test_adabound_ends_as_sgd_with_its_final_rate_scaled_as_the_schedule_scales_the_first():
    weights = weight(1.0, -2.0)
    optimizer = AdaBound([weights], lr=LR, final_lr=0.1, gamma=1e9)
    steps_of(optimizer, weights, [1.0])
    optimizer.param_groups[0]["lr"] = LR / 2
    before, mean = weights.detach().clone(), BETA1 * (1 - BETA1) * 1.0 + (1 - BETA1) * 2.0
    steps_of(optimizer, weights, [2.0])
    assert (before - weights).tolist() == pytest.approx([0.05 * mean] * 2, rel=1e-6)


def test_swats_is_adam_until_its_rate_has_settled():
    ours, theirs = weight(1.0, -2.0), weight(1.0, -2.0)
    never = SWATS([ours], lr=LR, eps=EPS, tolerance=0.0)
    adam = torch.optim.Adam([theirs], lr=LR, eps=EPS)
    for one, other in zip(
        steps_of(never, ours, GRADIENTS), steps_of(adam, theirs, GRADIENTS), strict=True
    ):
        # Adam divides by the corrected root; the paper corrects the rate, so that eps weighs a little more
        assert one == pytest.approx(other, abs=1e-8)


def test_swats_goes_on_as_sgd_at_the_rate_that_its_steps_asked_for():
    weights = weight(1.0, -2.0)
    optimizer = SWATS([weights], lr=LR, tolerance=1.0)
    optimizer.param_groups[0]["lr"] = (
        LR / 10
    )  # a schedule's warm-up, which the rate is measured without
    places = [[1.0, -2.0], *steps_of(optimizer, weights, [1.0, 0.5])]  # the second step settles it
    asked = []
    for (one, other), gradient in zip(itertools.pairwise(places), [1.0, 0.5], strict=True):
        change = [b - a for a, b in zip(one, other, strict=True)]
        asked.append(10 * sum(c * c for c in change) / -sum(c * gradient for c in change))
    running = (BETA2 * (1 - BETA2) * asked[0] + (1 - BETA2) * asked[1]) / (1 - BETA2**2)
    optimizer.param_groups[0]["lr"] = LR / 2  # a schedule goes on
    velocity = 0.0
    for gradient in (2.0, -1.0):
        velocity = BETA1 * velocity + gradient
        before = weights.tolist()
        steps_of(optimizer, weights, [gradient])
        moved = [after - was for was, after in zip(before, weights.tolist(), strict=True)]
        assert moved == pytest.approx([-(1 - BETA1) * running / 2 * velocity] * 2, rel=1e-9)


@pytest.mark.parametrize("kind", [AdaBound, SWATS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_training_that_was_cut_goes_on_to_the_same_bits(kind, dtype):
    settings = {"lr": LR, "weight_decay": 0.01, **({"tolerance": 0.1} if kind is SWATS else {})}
    whole, cut = (nn.Parameter(torch.tensor([1.0, -2.0], dtype=dtype)) for _ in range(2))
    steps_of(kind([whole], **settings), whole, GRADIENTS)
    first = kind([cut], **settings)
    steps_of(first, cut, GRADIENTS[:3])
    second = kind([cut], **settings)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps_of(second, cut, GRADIENTS[3:])
    assert torch.equal(whole, cut)


def test_both_learn_and_leave_a_parameter_without_gradient_alone():
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=dice)
    y = x @ torch.arange(5.0)
    for kind in (AdaBound, SWATS):
        weights, idle = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.ones(2))
        optimizer = kind([weights, idle], lr=0.05)
        for _ in range(600):
            optimizer.zero_grad()
            ((x @ weights - y) ** 2).mean().backward()
            optimizer.step()
        assert weights.tolist() == pytest.approx([0, 1, 2, 3, 4], abs=0.05)
        assert idle.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("kind", "setting", "least"),
    [
        (AdaBound, {"lr": 0.0}, "above 0"),
        (AdaBound, {"gamma": "fast"}, "above 0"),
        (AdaBound, {"final_lr": math.inf}, "above 0"),
        (SWATS, {"tolerance": -1.0}, "of 0 or more"),
        (SWATS, {"tolerance": None}, "of 0 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(kind, setting, least):
    (name,) = setting
    with pytest.raises(
        ValueError, match=rf"optimizer\.{name}: must be a number {least}, but got .*; change it"
    ):
        kind([weight(1.0)], **setting)


def test_betas_that_never_forget_are_refused():
    with pytest.raises(
        ValueError,
        match=r"optimizer\.betas: must be two numbers from 0 up to, but not, 1, but got \[1.0, 0.9\]",
    ):
        AdaBound([weight(1.0)], betas=(1.0, 0.9))


def test_every_group_has_the_rate_of_its_own_beginning():
    one, other = weight(1.0), weight(1.0)
    groups = AdaBound([{"params": [one], "lr": 0.1}, {"params": [other]}], lr=0.001).param_groups
    assert [group["base_lr"] for group in groups] == [0.1, 0.001]


def test_swats_remembers_its_switch_where_a_parameter_is_left_out_of_a_step():
    one, other = weight(1.0), weight(-2.0)
    optimizer = SWATS([one, other], lr=LR, tolerance=1e9)
    for _ in range(3):
        one.grad, other.grad = torch.ones_like(one), torch.ones_like(other)
        optimizer.step()
    (group,) = optimizer.param_groups
    settled, before = group["settled"], other.item()
    one.grad = None
    optimizer.step()
    assert group["settled"] == settled > 0
    assert before - other.item() == pytest.approx((1 - BETA1) * settled * (BETA1 + 1))


@pytest.mark.parametrize("kind", [AdaBound, SWATS])
def test_a_closure_is_evaluated_and_its_loss_given(kind):
    weights = weight(1.0)
    optimizer = kind([weights], lr=LR)

    def closure():
        loss = weights.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert weights.item() < 1


# A step without torch's wrapper


def _after_steps(kind, step, *, arm=lambda optimizer: None):
    """The weights after three steps, by the optimizer's own or by ours."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = kind(model.parameters(), lr=0.1)
    arm(optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        step(optimizer)
    return [parameter.tolist() for parameter in model.parameters()]


torch.optim.SGD([weight(1.0)], lr=0.1)  # torch wraps the class's step at its first use


class Halved(torch.optim.SGD):
    """Its step has a wrapper of its own, which takes over the marks of torch's."""

    @functools.wraps(torch.optim.SGD.step)
    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            parameter.grad *= 0.5
        super().step()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, SWATS, Halved])
def test_a_step_without_torchs_wrapper_has_the_same_bits(kind):
    assert _after_steps(kind, take_step) == _after_steps(kind, lambda optimizer: optimizer.step())


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_loops_chosen_beforehand_have_the_bits_of_torchs_own_choice(name):
    def choose(optimizer):
        settings = {"_target_": f"torch.optim.{name}", "lr": 0.1}
        config = {"model": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}}
        config |= {"loss": {"_target_": "torch.nn.MSELoss"}, "optimizer": settings}
        built = build(config, torch.device("cpu"))[2].param_groups[0]["foreach"]
        assert optimizer.param_groups[0]["foreach"] is None
        optimizer.param_groups[0]["foreach"] = built

    kind = getattr(torch.optim, name)
    assert _after_steps(kind, take_step, arm=choose) == _after_steps(kind, take_step)


def test_hooks_and_a_replaced_step_are_called_in_every_step():
    seen = []

    def note(*_):
        seen.append("hook")

    def replaced(optimizer):
        optimizer.step = lambda: seen.append("own")

    _after_steps(torch.optim.SGD, take_step, arm=lambda it: it.register_step_pre_hook(note))
    handle = register_optimizer_step_post_hook(note)
    _after_steps(torch.optim.SGD, take_step)
    handle.remove()
    _after_steps(torch.optim.SGD, take_step, arm=replaced)
    assert seen == ["hook"] * 6 + ["own"] * 3
