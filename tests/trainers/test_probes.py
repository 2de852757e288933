"""What is seen of a training from outside, and how it is taken over: exact, and gone without a trace afterwards."""

import math
import signal
import time
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.contract.arrays import FoldData, write_folds
from search.diagnostics.probe_process import answer
from trainers.api import Data, Part
from trainers.probes import questions
from trainers.probes.between import taken_back
from trainers.probes.limits import OutOfTime, time_limit
from trainers.probes.run import train
from trainers.probes.seen import batch_of, loss_call
from trainers.probes.speed import speed
from trainers.probes.steer import Enough, Steer
from trainers.probes.subject import Subject, is_cut, ramp
from trainers.probes.watch import Watch

OPTIMIZERS = import_module("torch.optim.optimizer")


def _model(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), *more, nn.Linear(7, 3))


def _rows(count=24):
    dice = torch.Generator().manual_seed(1)
    return torch.randn(count, 5, generator=dice), torch.randint(0, 3, (count,), generator=dice)


def _steps(model, optimizer, *, steps=4, parts=1, clear=True, evaluate=None):
    x, y = _rows()
    for step in range(steps):
        if clear:
            optimizer.zero_grad()
        for part in torch.arange(6 * step, 6 * step + 6).chunk(parts):
            F.cross_entropy(model(x[part]), y[part]).backward()
        optimizer.step()
        if evaluate is not None:
            evaluate(model, x)


def test_a_watched_training_takes_the_same_steps_as_an_unwatched_one():
    ends = []
    for watch in (Watch(), None):
        model = _model(nn.BatchNorm1d(7), nn.Dropout(0.5))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        torch.manual_seed(3)
        if watch is None:
            _steps(model, optimizer)
        else:
            with watch:
                _steps(model, optimizer)
        ends.append(
            torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])
        )
    assert torch.equal(*ends)


def test_numbers_seen_are_those_of_the_training():
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    first = [parameter.detach().clone() for parameter in model.parameters()]
    with Watch() as watch:
        _steps(model, optimizer, steps=1)
    x, y = _rows()
    start = _model()
    loss = F.cross_entropy(start(x[:6]), y[:6])
    gradients = torch.autograd.grad(loss, list(start.parameters()))
    seen = watch.seen
    assert seen.losses == pytest.approx([loss.item()])
    assert seen.gradient_norms == pytest.approx(
        [math.sqrt(sum(float(g.square().sum()) for g in gradients))], rel=1e-5
    )
    size = math.sqrt(sum(float(w.square().sum()) for w in first))
    assert seen.ratios == pytest.approx([0.5 * seen.gradient_norms[0] / size], rel=1e-5)
    assert [weights.name for weights in seen.weights] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    assert seen.weights[0].largest == pytest.approx(float(gradients[0].abs().max()))
    assert seen.batches[0].shape == (6, 5)
    assert (seen.loss.name, seen.loss.outputs, seen.loss.targets) == ("cross_entropy", (6, 3), (6,))
    assert (seen.rates, seen.steps, seen.optimizers) == ([0.5], 1, 1)


def test_gradients_collected_over_several_backward_passes_are_not_stale():
    for clear, stale in ((True, 0), (False, 3)):
        model = _model()
        with Watch() as watch:
            _steps(model, torch.optim.SGD(model.parameters(), lr=0.1), parts=3, clear=clear)
        assert (watch.seen.stale_gradients, watch.seen.steps_without_gradient) == (stale, 0)


def _set_to_zero(model, loss):
    model.zero_grad(set_to_none=False)
    loss.backward()


def _put_in_place(model, loss):
    weights = list(model.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient


@pytest.mark.parametrize("ask", [_set_to_zero, _put_in_place])
def test_gradients_set_to_zero_rather_than_to_none_or_put_in_place_of_others_are_not_stale(ask):
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = _rows()
    with Watch() as watch:
        for _ in range(3):
            ask(model, F.cross_entropy(model(x), y))
            optimizer.step()
    assert watch.seen.stale_gradients == 0


@pytest.mark.parametrize(
    ("reduce", "rows"),
    [(torch.sum, 24), (lambda losses: -(-losses).sum(), 24), (torch.mean, 0),
     (lambda losses: losses.sum() / len(losses), 0), (lambda losses: (losses * 0.1).sum(), 0),
     (lambda losses: losses.sum() + losses.mean(), 0)],
)  # fmt: skip
def test_a_loss_by_hand_that_is_summed_over_its_batch_is_seen_and_a_mean_is_not(reduce, rows):
    model, (x, y) = _model(), _rows()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Watch() as watch:
        for _ in range(3):
            optimizer.zero_grad()
            reduce((model(x)[:, 0] - y.float()).pow(2)).backward()
            optimizer.step()
    assert watch.seen.summed == rows


def test_an_evaluation_with_gradients_is_no_batch():
    def evaluate(model, x):
        model(x)

    model = _model()
    with Watch() as watch:
        _steps(model, torch.optim.SGD(model.parameters(), lr=0.1), evaluate=evaluate)
    assert [batch.shape for batch in watch.seen.batches] == [(6, 5)] * 4


def test_dropout_by_any_name_is_seen_in_an_evaluation():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(5, 3)

        def forward(self, x):
            return F.dropout(self.line(x), 0.5)

    def evaluate(model, x):
        model.eval()
        with torch.no_grad():
            model(x)
        model.train()

    for model, seen in ((Own(), ["dropout"]), (_model(nn.Dropout(0.5)), [])):
        with Watch() as watch:
            _steps(model, torch.optim.SGD(model.parameters(), lr=0.1), evaluate=evaluate)
        assert watch.seen.noisy_evaluations == seen


@pytest.mark.parametrize(("helps", "noisy"), [(True, []), (False, ["dropout"])])
def test_a_teacher_in_training_mode_is_no_noisy_evaluation(helps, noisy):
    model, (x, y) = _model(nn.Dropout(0.5)), _rows()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Watch() as watch:
        for _ in range(4):
            if helps:
                with torch.no_grad():
                    aim = model(x).softmax(1)
            optimizer.zero_grad()
            out = model(x)
            loss = F.cross_entropy(out, y)
            (loss + F.mse_loss(out.softmax(1), aim) if helps else loss).backward()
            optimizer.step()
        if not helps:
            with torch.no_grad():
                model(x)
        watch.epoch()
    assert watch.seen.noisy_evaluations == noisy


def test_functional_gradients_and_lazy_layers_are_left_alone():
    model, (x, y) = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 3)), _rows()

    def loss_of(weights, x, y):
        return F.cross_entropy(torch.func.functional_call(model, weights, (x[None],)), y[None])

    with Watch() as watch:
        model(x)
        weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        slopes = torch.func.vmap(torch.func.grad(loss_of), (None, 0, 0))(weights, x, y)
        _steps(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert slopes["0.weight"].shape == (24, 4, 5)
    assert (watch.seen.steps, len(watch.seen.weights)) == (4, 4)


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = _model()

    def forward(self, x):
        return self.net(torch.cat([x[:, :2], x[:, :3]], dim=1))


class SideBySide(nn.Module):
    """A sum of two: nothing can be put between them."""

    def __init__(self, deep):
        super().__init__()
        self.wide, self.deep = nn.Linear(5, 3), deep

    def forward(self, x):
        return self.wide(x) + self.deep(x)


@pytest.mark.parametrize(
    ("model", "unused", "layers"),
    [(_model(), 0.0, 0), (Half(), 0.4, 0), (nn.Linear(5, 3), 0.0, 0),
     (nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3)), 0.0, 2),
     (SideBySide(nn.Linear(5, 3)), 0.0, 0),
     (SideBySide(nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3))), 0.0, 3)],
)  # fmt: skip
def test_inputs_that_change_no_output_and_layers_without_a_bend_are_seen(model, unused, layers):
    def evaluate(model, x):
        with torch.no_grad():
            model(x)

    with Watch() as watch:
        _steps(model, torch.optim.SGD(model.parameters(), lr=0.1), evaluate=evaluate)
    assert (watch.seen.unused_inputs, watch.seen.linear_layers) == (unused, layers)


@pytest.mark.parametrize("undo", [lambda old, new: old, lambda old, new: old + 0.01 * (new - old)])
def test_what_takes_back_a_step_is_seen_and_an_average_now_and_then_is_not(undo):
    def times_taken_back(every):
        model, kept = nn.Linear(5, 3), []

        def evaluate(model, x):
            kept.append(model.weight.detach().clone())
            if len(kept) % every == 0 and len(kept) > every:
                with torch.no_grad():
                    model.weight.copy_(undo(kept[-1 - every], kept[-1]))
                kept[-1] = model.weight.detach().clone()

        with Watch() as watch:
            _steps(model, torch.optim.SGD(model.parameters(), lr=0.1), evaluate=evaluate)
        return watch.seen.put_back.get("weight", 0)

    assert times_taken_back(1) == 2  # between the second and the fourth of four steps
    assert times_taken_back(4) == 0


def test_a_decay_by_hand_that_is_more_than_a_tiny_step_takes_no_step_back():
    before, step = torch.ones(3), torch.full((3,), 1e-6)
    after, decayed = before + step, (before + step) * (1 - 1e-4)
    assert taken_back({0: before}, {0: after}, {0: decayed}) == []
    assert taken_back({0: before}, {0: after}, {0: before + 0.01 * step}) == [0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64, torch.int64])
def test_batches_of_any_type_are_noted(dtype):
    batch = batch_of(torch.arange(12).view(4, 3).to(dtype))
    assert (batch.shape, batch.finite, len(set(batch.keys))) == ((4, 3), True, 4)


def test_hooks_are_gone_afterwards_also_after_an_error():
    before = (
        len(nn.modules.module._global_forward_pre_hooks),
        len(OPTIMIZERS._global_optimizer_pre_hooks),
    )
    with pytest.raises(ZeroDivisionError), Watch(), Steer():
        _ = 1 / 0
    after = (
        len(nn.modules.module._global_forward_pre_hooks),
        len(OPTIMIZERS._global_optimizer_pre_hooks),
    )
    assert after == before
    assert not nn.modules.module._has_any_global_hook()
    assert torch.overrides._get_current_function_mode() is None


def test_an_optimizer_made_for_its_schedule_only_is_not_counted():
    model, twin = _model(), torch.optim.SGD([torch.zeros(0)], lr=1.0)
    with Watch() as watch, Steer() as steer:
        twin.step()
        _steps(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert (watch.seen.steps, watch.seen.optimizers, len(steer.times)) == (4, 1, 4)


# Steering


def test_a_rate_is_set_per_step_and_groups_keep_their_proportions():
    model = _model()
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.03}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    seen = []
    hook = optimizer.register_step_post_hook(
        lambda optimizer, *_: seen.append([g["lr"] for g in optimizer.param_groups])
    )
    with Steer(rate=lambda step: 10.0**-step):
        _steps(model, optimizer, steps=3)
    hook.remove()
    assert seen == [pytest.approx([rate, 0.3 * rate]) for rate in (1.0, 0.1, 0.01)]


def _rates_under_a_ramp(optimizers, *, model, own=None):
    """The rate of every group at every step of a ramp from 1 down by tens."""
    seen = []
    hook = OPTIMIZERS.register_optimizer_step_post_hook(
        lambda optimizer, *_: seen.extend(group["lr"] for group in optimizer.param_groups)
    )
    with Steer(rate=lambda step: 10.0**-step, own=own):
        for _ in range(3):
            model(_rows()[0]).sum().backward()
            for optimizer in optimizers:
                optimizer.step()
    hook.remove()
    return seen


def test_a_second_optimizer_keeps_its_proportion_to_the_first_ones_own_rate():
    model = _model()
    optimizers = [
        torch.optim.Adam(model[0].parameters(), lr=0.01),
        torch.optim.SGD(model[2].parameters(), lr=0.1),
    ]
    seen = _rates_under_a_ramp(optimizers, model=model)
    assert seen[::2] == pytest.approx([1.0, 0.1, 0.01])
    # it steps behind the first one, whose step was counted
    assert seen[1::2] == pytest.approx([1.0, 0.1, 0.01])


@pytest.mark.parametrize(("own", "body"), [(0.1, 0.1), (None, 1.0), (0.5, 1.0)])
def test_a_ramp_is_of_the_group_that_has_the_configs_rate_else_of_the_first(own, body):
    model = _model()
    groups = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters()}]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    seen = _rates_under_a_ramp([optimizer], model=model, own=own)
    assert seen[::2] == pytest.approx([body, body / 10, body / 100])
    assert seen[1::2] == pytest.approx([10 * body, body, body / 10])


def test_groups_whose_warm_up_begins_at_0_keep_their_proportions():
    model = _model()
    groups = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    seen = _rates_under_a_ramp([optimizer], model=model, own=0.1)
    assert seen[1::2] == pytest.approx([1.0, 0.1, 0.01])
    assert seen[::2] == pytest.approx([0.1, 0.01, 0.001])


class _Around(torch.optim.Optimizer):
    """An optimizer around another one, whose groups it shares."""

    def __init__(self, inner):
        super().__init__(inner.param_groups, {})
        self.inner, self.param_groups = inner, inner.param_groups

    def step(self, closure=None):
        return self.inner.step(closure)


def test_an_optimizer_around_another_one_steps_at_the_ramps_rate():
    model = _model()
    groups = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters()}]
    around = _Around(torch.optim.SGD(groups, lr=0.1))
    seen = _rates_under_a_ramp([around], model=model, own=0.1)
    body, head = seen[::2], seen[1::2]  # once by the inner one, once by the outer one
    assert head == pytest.approx([rate for rate in (1.0, 0.1, 0.01) for _ in range(2)])
    assert body == pytest.approx([rate / 10 for rate in head])


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_ramp_goes_on_where_a_loop_makes_its_optimizer_anew_every_epoch(scheduled):
    model, seen = _model(), []
    with Steer(rate=lambda step: 10.0**-step, own=0.1) as steer:
        for epoch in range(3):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * 0.5**epoch)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1) if scheduled else None
            for _ in range(2):
                _steps(model, optimizer, steps=1)
                seen.append(optimizer.param_groups[0]["lr"])
            if schedule is not None:
                schedule.step()
    assert seen == pytest.approx([10.0**-step for step in range(6)])
    assert len(steer.times) == len(steer.losses) == 6


def test_a_plain_training_has_no_dropout_no_smoothing_and_no_decay():
    x, y = _rows()
    model = _model(nn.Dropout(0.9))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.5)
    loss = nn.CrossEntropyLoss(label_smoothing=0.3)
    with Steer(plain=True) as steer:
        for _ in range(2):
            loss(model(x), y).backward()
            optimizer.step()
    model.eval()
    assert steer.losses == pytest.approx([F.cross_entropy(model(x), y).item()] * 2)
    assert optimizer.param_groups[0]["weight_decay"] == 0.0
    assert loss(model(x), y).item() != pytest.approx(steer.losses[0])  # only within


def test_enough_is_enough_for_a_loop_that_catches_everything(elsewhere):
    data = Data(train=Part(index=np.arange(3)), val=Part(index=np.arange(2)))
    config = {"seed": 0, "trainer": {"_target_": "toys.stubborn", "epochs": 50}}
    steer = Steer(most=5)
    run = train(config, data=data, device="cpu", folder=elsewhere, contexts=[steer])
    assert len(steer.times) == 5
    assert run.error == ""


@pytest.mark.slow
def test_a_ramp_ends_where_the_loss_is_lost_and_never_behind_its_last_step(elsewhere, monkeypatch):
    dice = np.random.default_rng(0)
    y = np.arange(90) % 3
    part = Part(
        index=np.arange(90),
        x=(dice.normal(0, 1, (90, 4)) + 2 * np.eye(4)[y]).astype(np.float32),
        y=y,
    )
    config = {
        "seed": 0, "model": {"_target_": "planted.Line", "inputs": 4, "outputs": 3},
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"}, "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
        "trainer": {"_target_": "trainers.stock.Stock", "epochs": 3, "batch_size": 30},
    }  # fmt: skip
    subject = Subject(
        config=config,
        data=Data(train=part, val=part),
        device="cpu",
        folder=elsewhere,
        task="classification",
    )
    calm = ramp(subject, subject.data, seed=1, rates=[1e-3] * 50, plain=True)
    assert len(calm) == 50
    wild = ramp(
        subject, subject.data, seed=1, rates=[10.0**power for power in range(-3, 30)], plain=True
    )
    assert len(wild) < 15
    assert not wild[-1] < 20 * wild[0]
    assert ramp(subject, subject.data, seed=1, rates=[1e-3] * 50, plain=True) == calm
    share = {**config, "trainer": {**config["trainer"], "fraction": 0.2}}
    partly = replace(subject, config=share)
    assert ramp(partly, subject.data, seed=1, rates=[1e-3] * 50, plain=True) == calm
    monkeypatch.setattr(questions, "FIT_STEPS", 20)  # of these rows none is known after 500 either
    assert _scores(partly) == _scores(subject)


def _scores(subject):
    """What each try to learn rows by heart reached."""
    heart = questions.learned_by_heart(subject, parameters=1000, loss=None)
    return [attempt["score"] for attempt in heart["tries"]]


LOADS = """
import torch

def train(config, data, device, checkpoint):
    x, rows = torch.eye(200), torch.as_tensor({rows})
    model = torch.nn.Linear(200, 200)
    optimizer = torch.optim.SGD(model.parameters(), config["optimizer"]["lr"])
    for epoch in range(config["trainer"]["epochs"]):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[rows]), rows).backward()
        optimizer.step()
        yield {{"accuracy": (model(x[rows]).argmax(1) == rows).float().mean().item()}}
"""


@pytest.mark.parametrize(("rows", "is_asked"), [("data.train.index", True), ("range(200)", False)])
def test_no_row_is_learned_by_heart_where_the_trainer_takes_rows_of_its_own(
    rows, is_asked, tmp_path, monkeypatch
):
    name = f"loads_rows_{is_asked}"
    (tmp_path / f"{name}.py").write_text(LOADS.format(rows=rows))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    import_module(name)
    part = Part(index=np.arange(40))
    subject = Subject(
        config={"trainer": {"_target_": f"{name}.train", "batch_size": 8, "epochs": 3}, "seed": 0, "optimizer": {"lr": 0.1}},
        data=Data(train=part, val=part), device="cpu", folder=tmp_path, task="classification", metric="accuracy",
    )  # fmt: skip
    heart = questions.learned_by_heart(subject, parameters=1640, loss=None)
    assert ("tries" in heart) == is_asked
    assert ("takes rows of its own" in heart.get("cause", "")) == (not is_asked)


def test_a_ramp_that_ended_before_the_loss_rose_says_nothing():
    fall = [2.0 - 0.01 * step for step in range(80)]
    assert is_cut(fall, steps=160)
    assert is_cut(fall[:5], steps=160)
    assert not is_cut(fall, steps=80)
    assert not is_cut([*fall, *([1.7] * 20)], steps=160)  # half of what it had won is lost
    assert is_cut([*fall, *([1.4] * 20)], steps=160)
    assert not is_cut([*fall, 1e9], steps=160)
    assert not is_cut([*fall, float("nan")], steps=160)


def _short(config, data, device, checkpoint):
    """Takes three steps, whatever is asked."""
    line = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            line(torch.as_tensor(data.train.x)), torch.as_tensor(data.train.y)
        )
        loss.backward()
        optimizer.step()
    yield {"val_loss": 1.0}


def test_a_training_that_takes_too_few_steps_for_a_ramp_has_no_range_and_is_told_why(tmp_path):
    part = Part(index=np.arange(60), x=np.ones((60, 4), np.float32), y=np.arange(60) % 3)
    write_folds(tmp_path / "arrays", [FoldData(data=Data(train=part, val=part))], stamp="")
    answers = answer(
        {
            "config": {
                "seed": 0, "optimizer": {"lr": 0.1},
                "trainer": {"_target_": "test_probes._short", "epochs": 3, "batch_size": 30},
            },
            "folder": str(tmp_path), "device": "cpu", "task": "classification",
            "metric": {"name": "accuracy"}, "kind": "lr_range",
            "rates": np.geomspace(1e-7, 10, 40).tolist(), "seeds": 2,
        }
    )  # fmt: skip
    assert [len(losses) for losses in answers["losses"]] == [3, 3]
    assert answers["untrained"] == []
    assert answers["cause"].startswith("the ramp ended after 3 of 40 steps, at a rate of 2.6e-07, ")
    assert answers["cause"].endswith("loop over trainer.epochs")


def _whole(config, data, device, checkpoint):
    """A step takes all rows, whatever the batch size says."""
    line = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
    for epoch in range(1, config["trainer"]["epochs"] + 1):
        x, y = torch.as_tensor(data.train.x), torch.as_tensor(data.train.y)
        torch.nn.functional.cross_entropy(line(x), y).backward()
        optimizer.step()
        yield {"epoch": epoch, "val_loss": 1.0}


def test_a_training_whose_epoch_is_one_step_has_epochs_enough_for_a_ramp(tmp_path):
    config = {"seed": 0, "trainer": {"_target_": "test_probes._whole", "batch_size": 1}}
    part = Part(index=np.arange(60), x=np.ones((60, 4), np.float32), y=np.arange(60) % 3)
    data = Data(train=part, val=part)
    subject = Subject(config=config, data=data, device="cpu", folder=tmp_path, task="")
    assert len(ramp(subject, data, seed=0, rates=[1e-4] * 40, plain=False)) == 40


def _in_batches(config, data, device, checkpoint):
    """Batches of a size of its own, where it has one."""
    line = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
    x, y = torch.as_tensor(data.train.x), torch.as_tensor(data.train.y)
    if config.get("tells_untrained"):
        yield {"epoch": 0, "val_loss": 1.0}
    for _ in range(config["trainer"]["epochs"]):
        for rows in torch.arange(len(x)).split(config.get("bs") or config["trainer"]["batch_size"]):
            torch.nn.functional.cross_entropy(line(x[rows]), y[rows]).backward()
            optimizer.step()
        yield {"val_loss": 1.0}


def test_the_speed_of_a_trainer_is_told_at_the_batches_that_it_takes(tmp_path):
    """Of a size of its own, such as `args.bs`, and not at `trainer.batch_size`, which it ignores:
    a search was foretold 16 times too long where batches are of 512 rows."""
    part = Part(index=np.arange(600), x=np.ones((600, 4), np.float32), y=np.arange(600) % 3)
    data, config = Data(train=part, val=part), {"seed": 0, "trainer": {"batch_size": 32}}
    config["trainer"]["_target_"] = "test_probes._in_batches"
    for own, told in ((None, 32), (64, 64), (8, 8), (512, 256)):  # 256 rows are looked at
        own_config = {**config, "bs": own, "tells_untrained": own == 64}
        about = {"config": own_config, "folder": tmp_path, "device": "cpu", "task": ""}
        (entry,) = speed(Subject(data=data, **about), sizes=False)["batches"]
        assert entry["batch"] == told


def _of_its_own(config, data, device, checkpoint):
    """Ten batches of rows that it loads itself, whichever rows it is given."""
    rows = Part(index=np.arange(160), x=np.ones((160, 4), np.float32), y=np.arange(160) % 3)
    yield from _in_batches({**config, "bs": 16}, Data(train=rows, val=rows), device, checkpoint)


def test_the_speed_of_a_trainer_that_takes_rows_of_its_own_is_told_by_its_steps(tmp_path):
    config = {"seed": 0, "trainer": {"batch_size": 16, "_target_": "test_probes._of_its_own"}}
    data = Data(train=Part(index=np.arange(600)), val=Part(index=np.arange(90)))
    subject = Subject(data=data, config=config, folder=tmp_path, device="cpu", task="")
    told = speed(subject, sizes=False)
    assert (told["own_steps"], told["batches"][0]["batch"]) == (10, 16)
    config["trainer"]["_target_"] = "test_probes._in_batches"  # heeds rows and batch size
    part = Part(index=np.arange(600), x=np.ones((600, 4), np.float32), y=np.arange(600) % 3)
    subject = Subject(
        data=Data(train=part, val=part), config=config, folder=tmp_path, device="cpu", task=""
    )
    assert speed(subject, sizes=False)["own_steps"] == 0


def _stepless(config, data, device, checkpoint):
    for epoch in range(1, config["trainer"]["epochs"] + 1):
        yield {"epoch": epoch, "val_loss": float(1 / (epoch < 3))}  # the third one raises


def test_a_training_without_steps_is_left_before_the_epochs_of_a_ramp(tmp_path):
    config = {"seed": 0, "trainer": {"_target_": "test_probes._stepless", "batch_size": 30}}
    part = Part(index=np.arange(60))
    data = Data(train=part, val=part)
    subject = Subject(config=config, data=data, device="cpu", folder=tmp_path, task="")
    with pytest.raises(RuntimeError, match="no step of a torch optimizer was seen"):
        ramp(subject, data, seed=0, rates=[0.1] * 40, plain=False)


def test_enough_is_no_exception_of_the_usual_kind():
    assert not issubclass(Enough, Exception)


def test_a_closure_asks_for_its_gradients_itself():
    model = _model()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    x, y = _rows()

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    with Watch() as watch:
        for _ in range(3):
            optimizer.step(closure)
    seen = watch.seen
    assert (seen.steps, seen.steps_without_gradient, seen.stale_gradients) == (3, 0, 0)
    assert all(weights.gradients == 3 for weights in seen.weights)


def test_the_second_evaluation_leaves_dice_and_buffers_as_they_were():
    class Restless(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(5, 3)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.line(x) + torch.randn(3)

    ends = []
    for watch in (None, Watch()):
        torch.manual_seed(0)
        model = Restless()
        x, _ = _rows()
        with watch or nullcontext():
            model(x).sum().backward()
            with torch.no_grad():
                model(x)
        ends.append((model.calls.item(), torch.rand(1).item()))
    assert ends[0] == ends[1] == (2.0, ends[0][1])
    assert watch.seen.unsteady_evaluation
    assert watch.seen.changed_buffers == ["calls"]


class Hidden(torch.nn.Module):
    """A hidden layer in a plain list, or in a ModuleList."""

    def __init__(self, *, registered):
        super().__init__()
        torch.manual_seed(0)
        layers = [torch.nn.Linear(5, 8), torch.nn.Linear(8, 3)]
        self.layers = torch.nn.ModuleList(layers) if registered else layers
        self.own = torch.nn.Linear(5, 5)

    def forward(self, x):
        return self.layers[1](torch.relu(self.layers[0](self.own(x))))


@pytest.mark.parametrize("registered", [True, False])
def test_a_layer_in_a_plain_list_is_seen_as_one_that_no_optimizer_has(registered):
    model = Hidden(registered=registered)
    with Watch() as watch:
        _steps(model, torch.optim.SGD(model.parameters(), lr=0.1), steps=1)
    idle = [one.name for one in watch.seen.weights if not one.optimized]
    assert len(idle) == (0 if registered else 4)
    assert all("of an unregistered Linear" in name for name in idle)


@pytest.mark.parametrize("momentum", [0.0, 0.1, None])
def test_batch_norm_whose_statistics_never_move_is_seen(momentum):
    model = torch.nn.Sequential(
        torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8, momentum=momentum), torch.nn.Linear(8, 3)
    )
    with Watch() as watch:
        _steps(model, torch.optim.SGD(model.parameters(), lr=0.1), steps=1)
    assert bool(watch.seen.still_norms) == (momentum == 0.0)


@pytest.mark.parametrize(
    ("outputs", "target", "wrong"),
    [((6, 1), (6,), True), ((6,), (6, 1), True), ((6, 1), (6, 1), False), ((6, 1), (1,), False)],
)
def test_a_squared_error_that_broadcasts_is_seen_and_distances_between_outputs_are_not(
    outputs, target, wrong
):
    weight = torch.ones(outputs, requires_grad=True)
    with Watch() as watch:
        (weight - torch.zeros(target)).square().mean().backward()
        (weight.reshape(-1, 1) - weight.reshape(-1)).mean().backward()
    assert watch.seen.broadcast == ([outputs, target] if wrong else [])


@pytest.mark.parametrize(("last", "sigmoid"), [("sigmoid", True), ("relu", False), ("", False)])
def test_a_sigmoid_before_cross_entropy_is_seen(last, sigmoid):
    logits = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    outputs = getattr(torch, last)(logits) if last else logits
    call = loss_call(F.cross_entropy, outputs, torch.zeros(16, dtype=torch.long), {})
    assert call.sigmoid == sigmoid


def _endless(begun, ends):
    """A user's loop that goes on whatever happens; `ends`: where it says that it came to its end."""
    while time.monotonic() < begun + 30:
        try:
            sum(range(1000))
        except Exception:  # noqa: BLE001  # as users write it
            break
    ends.append("by itself")


def test_a_question_that_does_not_end_is_left_also_where_its_code_swallows_every_exception():
    ends = []
    with pytest.raises(OutOfTime), time_limit(0.2):
        _endless(time.monotonic(), ends)
    assert ends == []
    with time_limit(0.2):
        pass  # the alarm is off afterwards
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
