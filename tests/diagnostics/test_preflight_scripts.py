"""Scripts in strangers' styles: steps that no optimizer takes, gradients that are thrown away, predictions that cannot be read or are others'."""

import copy
import json
import time
from dataclasses import replace

import foreign_scripts
import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.utils._pytree import tree_leaves

from search.contract.arrays import FoldData
from search.contract.metrics import Metric
from search.diagnostics.preflight import by_heart, learning, loop, losses, model, stepping
from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.schedule import ends_early
from search.diagnostics.preflight.sets import class_balance
from search.execution.worker.epoch_message import epoch_message
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes import watched
from trainers.probes.limits import OutOfTime, own_time, time_limit
from trainers.probes.subject import Subject
from trainers.probes.watch import Watch


def _rows(count, seed):
    dice = np.random.default_rng(seed)
    y = np.arange(count) % 4
    x = (dice.normal(0, 1, (count, 6)) + 2 * np.eye(6)[y]).astype(np.float32)
    return Part(x=x, y=y.astype(np.int64), index=np.arange(count))


DATA = Data(train=_rows(120, 0), val=_rows(40, 1))


def _subject(script, fault, tmp_path, *, data=DATA, rate=0.05):
    trainer = {"_target_": script if "." in script else f"foreign_scripts.{script}", "batch_size": 16, "epochs": 2, "fault": fault}  # fmt: skip
    return Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": rate}}, data=data, device="cpu",
        folder=tmp_path, task="classification", metric="accuracy",
    )  # fmt: skip


def _read(epoch, rows):
    return epoch_message(
        epoch, FoldData(data=rows), metric=Metric(name="accuracy", direction="maximize")
    )


def _seen(script, fault, tmp_path, *, read=None, **more):
    seen = watched.watched(_subject(script, fault, tmp_path, **more), read=read)
    return json.loads(json.dumps(plain(seen), allow_nan=False))


@pytest.mark.parametrize(
    ("fault", "steps", "rate"),
    [("", "pass", "not checkable"), ("decayed", "pass", "not checkable"), ("stale", "fail", "not checkable"),
     ("shrunk", "fail", "not checkable"), ("uphill", "pass", "fail")],
)  # fmt: skip
def test_steps_by_hand_are_judged_like_those_of_an_optimizer(fault, steps, rate, tmp_path):
    seen = _seen("by_hand", fault, tmp_path)
    assert (seen["steps"], seen["hand_steps"]) == (0, 15)  # the last one has no pass behind it
    assert stepping.optimizer_steps(seen).outcome == steps
    assert learning.learning_rate(seen, steps=100).outcome == rate


def momentum_by_hand(config, data, device, checkpoint):
    """A loop that smooths its gradients, and shrinks the weights if it is told to."""
    torch.manual_seed(0)
    x, y = torch.as_tensor(data.train.x), torch.as_tensor(data.train.y)
    net = torch.nn.Linear(6, 4)
    moving = [torch.zeros_like(p) for p in net.parameters()]
    for _ in range(2):
        for rows in torch.randperm(len(x)).split(16):
            net.zero_grad()
            loss = F.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            for p, m in zip(net.parameters(), moving, strict=True):
                m.mul_(0.9).add_(p.grad)
                p.data.sub_(0.02 * m)
                p.data.mul_(0.8 if config["trainer"]["fault"] == "shrunk" else 1.0)
        yield {"train_loss": loss.item()}


def unstepped(config, data, device, checkpoint):
    """A loop that forgets its optimizer's step, whose validation draws by chance."""
    x, y = torch.as_tensor(data.train.x), torch.as_tensor(data.train.y)
    net = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Dropout(0.5))
    for _ in range(2):
        for rows in torch.randperm(len(x)).split(16):
            loss = F.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
        yield {"train_loss": loss.item(), "val_loss": F.cross_entropy(net(x), y).item()}


def test_backward_passes_after_which_no_weight_changes_are_a_fault(tmp_path):
    check = loop.trains(_seen(f"{__name__}.unstepped", "", tmp_path))
    assert (check.outcome, "no weight changed" in check.told) == ("fail", True)
    assert loop.trains(_seen(f"{__name__}.momentum_by_hand", "", tmp_path)).outcome == "pass"


@pytest.mark.parametrize(("fault", "outcome"), [("", "pass"), ("shrunk", "fail")])
def test_weights_that_shrink_are_told_from_steps_with_momentum(fault, outcome, tmp_path):
    seen = _seen(f"{__name__}.momentum_by_hand", fault, tmp_path)
    assert stepping.optimizer_steps(seen).outcome == outcome


@pytest.mark.parametrize(("fault", "outcome"), [("forgotten", "fail"), ("", "pass")])
def test_a_tensor_without_a_module_that_no_optimizer_has_is_named(fault, outcome, tmp_path):
    check = model.gradients(_seen("tensors", fault, tmp_path))
    assert check.outcome == outcome
    assert ("tensor (40, 4) are in no optimizer" in check.told) == (fault == "forgotten")


def attacked(config, data, device, checkpoint):
    """Rows that are moved against the model, by a first gradient that is thrown away."""
    torch.manual_seed(0)
    x, y = torch.as_tensor(data.train.x), torch.as_tensor(data.train.y)
    net = torch.nn.Linear(6, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        for rows in torch.randperm(len(x)).split(16):
            near = x[rows].clone().requires_grad_()
            optimizer.zero_grad()
            F.cross_entropy(net(near), y[rows]).backward()
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[rows] + 0.1 * near.grad.sign()), y[rows])
            loss.backward()
            optimizer.step()
        yield {"train_loss": loss.item()}


@pytest.mark.parametrize(
    ("script", "fault", "outcome"),
    [("accumulating", "cleared each", "warn"), ("accumulating", "", "pass"), (f"{__name__}.attacked", "", "pass"),
     ("foreign_loops.fit", "sharpness", "pass"), ("foreign_loops.fit", "accumulated", "pass")],
)  # fmt: skip
def test_gradients_that_are_cleared_unused_are_told_from_those_that_look_ahead(
    script, fault, outcome, tmp_path
):
    seen = _seen(script, fault, tmp_path)
    assert stepping.optimizer_steps(seen).outcome == outcome
    assert (seen["hand_steps"], seen["hand_rates"]) == (0, [])
    assert learning.learning_rate(seen, steps=1000).outcome == "pass"


def unlabelled(config, data, device, checkpoint):
    yield {"train_loss": 1.0, "val_loss": 1.0, "predictions": np.zeros((len(data.val.index), 4))}


@pytest.mark.parametrize(
    ("script", "labels", "reason"),
    [("loaders", True, ""), (f"{__name__}.unlabelled", True, ""),
     (f"{__name__}.unlabelled", False, "accuracy cannot be computed from predictions without labels"),
     ("loaders, last batch", True, "one row per validation row (40), but got shape (8, 4)")],
)  # fmt: skip
def test_what_a_trial_could_not_read_of_an_epoch_is_a_fault_of_the_preflight(
    script, labels, reason, tmp_path
):
    data = (
        DATA if labels else Data(train=replace(DATA.train, y=None), val=replace(DATA.val, y=None))
    )
    script, _, fault = script.partition(", ")
    check = loop.trains(_seen(script, fault, tmp_path, read=_read, data=data))
    assert (check.outcome, reason in check.told) == ("fail" if reason else "pass", True)


def test_values_that_do_not_fit_a_part_of_the_validation_rows_prove_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(watched, "WATCHED_ROWS", 30)
    seen = _seen("loaders", "last batch", tmp_path, read=_read)
    assert (seen["val_rows"], seen["unread"]) == (30, "")


@pytest.mark.parametrize(
    ("val_loss", "own", "end", "outcome"),
    [(0.01, 5.0, 0.01, "fail"), (0.01, 0.02, 0.01, "pass"), (0.01, 5.0, 1.9, "pass"), (0.01, 3.1, 0.01, "fail")],
)  # fmt: skip
def test_predictions_that_know_nothing_of_rows_learned_by_heart_are_others(
    val_loss, own, end, outcome
):
    again = {"own": own, "shuffled": 5.5, "spread": 0.3}
    heart = {"tries": [{"val_loss": val_loss, "again": again, "start": 2.3, "end": end}]}
    assert losses.reported_losses(CALM, heart=heart).outcome == outcome


def _first_rates(make, steps):
    """What torch's own scheduler does in its first steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler, rates = make(torch.optim.lr_scheduler, optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("make", "told"),
    [(lambda of, o: of.CosineAnnealingLR(o, T_max=20), "as a cosine to 0 at step 20 of 220"),
     (lambda of, o: of.LinearLR(o, 1.0, 0.0, total_iters=20), "as a line to 0 at step 20 of 220"),
     (lambda of, o: of.ExponentialLR(o, 0.8), "multiplied by 0.8 in every step"),
     (lambda of, o: of.LambdaLR(o, lambda n: min((n + 1) / 2, (20 - n) / 18)), "as a line to 0 at step 20 of 220"),
     (lambda of, o: of.LambdaLR(o, lambda n: min((n + 1) / 2, (220 - n) / 218)), ""),
     (lambda of, o: of.CosineAnnealingLR(o, T_max=220), ""),
     (lambda of, o: of.CosineAnnealingWarmRestarts(o, T_0=44), ""),
     (lambda of, o: of.LinearLR(o, 1.0, 0.1, total_iters=30), ""),
     (lambda of, o: of.ExponentialLR(o, 0.98), ""),
     (lambda of, o: of.LambdaLR(o, lambda n: min((n + 1) / 9, (9 / (n + 1)) ** 0.5)), ""),
     (lambda of, o: of.OneCycleLR(o, 0.1, total_steps=220), ""),
     (lambda of, o: of.StepLR(o, 11, 0.9), "")],
)  # fmt: skip
def test_a_schedule_that_counts_epochs_is_known_by_its_first_steps(make, told):
    for steps in (8, 16):
        text = ends_early(_first_rates(make, steps), steps=220, epochs=20)
        assert bool(text) == bool(told)
        assert told in text


@pytest.mark.parametrize(("fault", "outcome"), [("on train", "fail"), ("", "pass")])
def test_an_evaluation_of_the_very_rows_that_are_trained_on_is_known_also_of_own_data(
    fault, outcome, tmp_path
):
    count = np.arange(300)
    data = Data(train=Part(x=None, y=None, index=count[:240]), val=Part(x=None, y=None, index=count[240:]))  # fmt: skip
    seen = _seen("language", fault, tmp_path, data=data)
    assert losses.reported_losses(seen, heart={}).outcome == outcome


def test_the_clock_of_a_limit_never_runs_ahead_and_runs_while_a_block_sleeps():
    begun, own = time.monotonic(), own_time()
    with pytest.raises(OutOfTime), time_limit(0.1):
        time.sleep(30)
    assert 0.05 < own_time() - own < time.monotonic() - begun + 0.05


def test_every_script_and_fault_of_the_collection_is_there():
    scripts = {word.rpartition(".")[2] for setup in (*foreign_scripts.FAULTS, *foreign_scripts.SOUND) for word in setup.words if word.startswith("trainer._target_")}  # fmt: skip
    assert all(callable(getattr(foreign_scripts, name)) for name in scripts)


def _copies(config, data, device, checkpoint):
    """A loop of classes by rows, whose faults are of what it keeps from epoch to epoch."""
    torch.manual_seed(0)
    fault = config["trainer"]["fault"]
    x, y = torch.as_tensor(data.train.x), torch.as_tensor(data.train.y)
    net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    net[2 if fault == "head frozen" else 0].requires_grad_("frozen" not in fault)
    decay = {"slow average": 0.99999, "average": 0.8}.get(fault)
    first = net[0].weight.detach().clone()
    average, helper = copy.deepcopy(net), torch.nn.Linear(4, 4)
    helper.requires_grad_(fault != "helper, frozen")
    cuts = torch.nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.01)
    batches = iter(torch.randperm(len(x)).split(16))
    for _ in range(2):
        if fault == "made anew":
            net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))  # fmt: skip
        if fault in ("made anew", "optimizer anew"):
            optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for rows in batches if fault == "used up" else torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            logits = net(x[rows]) + (cuts if fault == "cuts left out" else 0)
            asked = 0.1 * helper(logits).pow(2).mean() if "helper" in fault else 0
            (F.cross_entropy(logits, y[rows]) + asked).backward()
            optimizer.step()
            with torch.no_grad():
                if fault == "put back":
                    net[0].weight.copy_(first)
                for p, q in zip(average.parameters(), net.parameters(), strict=True):
                    p.lerp_(q, 1 - decay) if decay else None
        with torch.no_grad():
            (average if decay else net)(torch.as_tensor(data.val.x))
        yield {"train_loss": 1.0}


@pytest.mark.parametrize(
    ("fault", "named"),
    [("", ""), ("average", ""), ("optimizer anew", ""), ("body frozen", ""), ("helper, frozen", ""), ("helper", "gradients"), ("used up", "trains"), ("made anew", "optimizer_steps"),
     ("put back", "optimizer_steps"), ("cuts left out", "gradients"), ("head frozen", "gradients"), ("slow average", "evaluation_mode")],
)  # fmt: skip
def test_what_a_loop_keeps_from_step_to_step_is_told_from_what_it_should_not_keep(
    fault, named, tmp_path
):
    seen = _seen(f"{__name__}._copies", fault, tmp_path)
    checks = (
        loop.trains(seen), model.gradients(seen), stepping.optimizer_steps(seen), loop.evaluation_mode(seen, steps=500),
    )  # fmt: skip
    assert [check.name for check in checks if check.outcome in ("warn", "fail")] == [named][: bool(named)]  # fmt: skip


def over_nodes(config, data, device, checkpoint):
    """A graph is given to the model whole, in training and in evaluation; the losses tell its nodes
    apart. `masked`: by a product; `on train`: all rows are taught and evaluated, none is held out.
    """
    how = config["trainer"]["fault"]
    count = len(data.train.index) + len(data.val.index)
    rows = _rows(count, 0)
    x, y, near = torch.tensor(rows.x), torch.tensor(rows.y), torch.eye(count)
    taught = torch.arange(count) < len(data.train.index)
    model = torch.nn.Linear(6, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

    def loss(outputs, chosen):
        if how == "masked":
            return (F.cross_entropy(outputs, y, reduction="none") * chosen).sum() / chosen.sum()
        return F.cross_entropy(outputs[chosen], y[chosen])

    for _ in range(config["trainer"]["epochs"]):
        optimizer.zero_grad()
        outputs = near @ model(x)
        train = F.cross_entropy(outputs, y) if how == "on train" else loss(outputs, taught)
        train.backward()
        optimizer.step()
        with torch.no_grad():
            outputs = near @ model(x)
            val = F.cross_entropy(outputs, y) if how == "on train" else loss(outputs, ~taught)
        yield {"train_loss": train.item(), "val_loss": val.item(), "accuracy": 0.5}


@pytest.mark.parametrize(("how", "outcome"), [("", "pass"), ("masked", "pass"), ("on train", "fail")])  # fmt: skip
def test_a_graph_given_whole_is_no_evaluation_of_train_rows(how, outcome, tmp_path):
    rows = [replace(part, x=None, y=None) for part in (DATA.train, DATA.val)]
    data = Data(train=rows[0], val=rows[1])
    seen = _seen("test_preflight_scripts.over_nodes", how, tmp_path, data=data)
    made = losses.reported_losses(seen, heart={"tries": []})
    assert (made.outcome, "all rows that were evaluated" in made.told) == (outcome, bool(how == "on train"))  # fmt: skip


def test_labels_of_rows_that_are_left_out_or_that_a_teacher_answers_need_not_be_learned_by_heart():
    batch = {"shape": [30, 6]}
    whole = {**CALM, "rows": 120, "batches": [batch] * 4, "epochs": [4]}
    part = {**whole, "batches": [batch] * 2, "epochs": [2]}  # it draws fewer of the frequent class
    attempt = {"score": 0.75, "start": 1.4, "end": 0.001, "rate": 0.1, "steps": 500, "fitted": False, "metric": []}  # fmt: skip
    made = [by_heart.overfit({"rows": 64, "tries": [attempt]}, optimizers=1, seen=seen) for seen in (part, whole)]  # fmt: skip
    assert [check.outcome for check in made] == ["note", "fail"]
    assert "50% of the rows" in made[0].told
    taught = by_heart.overfit({"rows": 64, "tries": [attempt]}, optimizers=1, seen={**whole, "soft_targets": 4})  # fmt: skip
    assert (taught.outcome, "another model's answers" in taught.told) == ("note", True)
    unknown = {"rows": 64, "tries": [{**attempt, "end": 0.7}]}
    assert by_heart.overfit(unknown, optimizers=1, seen=part).outcome == "fail"


def of_pairs(config, data, device, checkpoint):
    """Factors of users and things learn which of two things a user prefers, so users' own offsets
    cancel. `zeros`: of factors; `old`: the optimizer has the weights of another model.
    """
    how = config["trainer"]["fault"]

    def models():
        made = torch.nn.ModuleList([torch.nn.Embedding(12, 4), torch.nn.Embedding(12, 4), torch.nn.Embedding(12, 1)])  # fmt: skip
        torch.nn.init.zeros_(made[2].weight)
        for factors in made[:2] if how == "zeros" else ():
            torch.nn.init.zeros_(factors.weight)
        return made

    class Preference(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.users, self.things, self.offsets = models()

        def forward(self, user, thing):
            return (self.users(user) * self.things(thing)).sum(-1) + self.offsets(user).squeeze(-1)

    model = Preference()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    model = Preference() if how == "old" else model
    dice = torch.Generator().manual_seed(0)
    user, one, other = torch.randint(0, 12, (3, 240), generator=dice)
    for _ in range(config["trainer"]["epochs"]):
        for part in torch.arange(240).split(40):
            optimizer.zero_grad()
            ahead = model(user[part], one[part]) - model(user[part], other[part])
            loss = -F.logsigmoid(torch.where(one[part] > other[part], 1.0, -1.0) * ahead).mean()
            loss.backward()
            optimizer.step()
        yield {"train_loss": loss.item(), "val_loss": loss.item(), "accuracy": 0.5}


@pytest.mark.parametrize(
    ("how", "weights", "gradients"),
    [("", ("pass", "differ"), ("fail", "offsets.weight got no gradient")),
     ("zeros", ("fail", "users.weight, things.weight have"), ("fail", "got no gradient")),
     ("old", ("pass", "differ"), ("fail", "are in no optimizer that steps"))],
)  # fmt: skip
def test_offsets_that_cancel_are_told_from_zero_factors_and_from_those_of_another_model(
    how, weights, gradients, tmp_path
):
    seen = _seen("test_preflight_scripts.of_pairs", how, tmp_path)
    made = {"weights": model.initial_weights(seen), "gradients": model.gradients(seen)}
    assert (made["weights"].outcome, weights[1] in made["weights"].told) == (weights[0], True), made
    assert (made["gradients"].outcome, gradients[1] in made["gradients"].told) == (gradients[0], True), made  # fmt: skip


class Drawn(torch.nn.Module):
    """Draws its code from a mean and a spread, in evaluation too, and tells both or neither."""

    def __init__(self, *, tells):
        super().__init__()
        self.mean, self.spread, self.out = (torch.nn.Linear(6, 6) for _ in range(3))
        self.tells = tells

    def forward(self, x):
        mean, spread = self.mean(x), self.spread(x)
        again = self.out(mean + torch.randn_like(mean) * spread.exp())
        return (again, mean, spread) if self.tells else again


@pytest.mark.parametrize(("tells", "outcome"), [(True, "note"), (False, "fail")])
def test_a_model_that_tells_the_mean_and_spread_of_what_it_draws_may_draw_in_evaluation(
    tells, outcome
):
    net, x = Drawn(tells=tells), torch.randn(8, 6)
    with Watch() as watch:
        loss = F.mse_loss(tree_leaves(net(x))[0], x)
        loss.backward()
        net.eval()
        with torch.no_grad():
            net(x)
    seen = {**CALM, "batches": [{}], "unsteady_evaluation": watch.seen.unsteady_evaluation, "sampled": watch.seen.sampled}  # fmt: skip
    assert loop.evaluation_mode(seen).outcome == outcome


def test_classes_that_are_spelt_in_two_ways_are_told():
    names = ["no", "Yes", "yes", "No "]
    y = {"train": np.arange(80) % 4}
    alike = class_balance(y, classes=4, names=names)
    assert (alike.outcome, "'Yes' and 'yes'" in alike.told) == ("warn", True)
    assert class_balance(y, classes=4, names=["a", "A", "b", "B"]).outcome == "pass"


def test_pixels_between_0_and_1_have_a_floor_and_their_summed_likelihood_is_no_fault():
    call = {"name": "binary_cross_entropy", "reduction": "sum", "value": 2860.0, "targets": [64, 64], "outputs": [64, 64], "classes": False, "partners": False, "constant": None}  # fmt: skip
    seen = {**CALM, "loss": call, "losses": [2860.0]}
    assert first_loss(seen, entropy=None, classes=0).outcome == "not checkable"
    column = {**seen, "loss": {**call, "targets": [64, 1], "outputs": [64, 1]}}
    assert first_loss(column, entropy=None, classes=0).outcome == "fail"
    attempt = {"score": None, "start": 2860.0, "end": 1490.0, "rate": 0.01, "steps": 250, "fitted": False, "metric": []}  # fmt: skip
    heart = {"rows": 64, "tries": [attempt]}
    whole = {**seen, "loss": {**call, "classes": True}}
    outcomes = [by_heart.overfit(heart, optimizers=1, seen=one).outcome for one in (seen, whole)]
    assert outcomes == ["note", "warn"]
    below = {"rows": 64, "tries": [{**attempt, "end": -2e28}, {**attempt, "end": 2800.0}]}
    assert by_heart.overfit(below, optimizers=1, seen=seen).outcome == "warn"  # no floor there
    rests = {"rows": 64, "tries": [{**attempt, "end": 2800.0}]}
    assert by_heart.overfit(rests, optimizers=1, seen=seen).outcome == "fail"
