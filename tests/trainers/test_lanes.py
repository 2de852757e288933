"""Lanes: what plain torch gives, the same bits in any company, nothing shared that must not be."""

import itertools
import random

import numpy as np
import pytest
import torch
from company import Company, bits, config_of, made, plainly, trained
from torch import nn
from torch.nn import functional

from search.config.compose import compose_experiment
from search.contract.contract import prepare
from search.contract.metrics import Metric
from trainers.api import Data, Disruption, Failure, Part
from trainers.checkpoint import FolderCheckpoint
from trainers.lanes import traced
from trainers.lanes.key import Unfusable, fusion_key
from trainers.lanes.masks import counted_dropout, in_place_of_torchs, masked
from trainers.stock import Stock

CLOCK = itertools.count(1)
# Three lanes that differ in every number there is.
DIFFERENT = [
    ("seed=1", "optimizer.lr=0.002"),
    ("seed=2", "optimizer.lr=0.005", "trainer.l1=0.001"),
    ("seed=3", "optimizer.lr=0.001", "trainer.clip=0.5", "optimizer.weight_decay=0.1"),
]
PROGRAMS = [
    *[
        (f"optimizer={name}",)
        for name in (
            "sgd",
            "nesterov",
            "sgd_plain",
            "adam",
            "adamw",
            "amsgrad",
            "adagrad",
            "adadelta",
        )
    ],
    ("optimizer=rmsprop", "optimizer.momentum=0.9", "+optimizer.centered=true"),
    ("optimizer=rmsprop", "model.width=20"),
    ("+optimizer.dampening=0.5", "+optimizer.maximize=false"),
    ("model.dropout=0.2", "model.depth=2"),
    ("model=cnn2d", "model.dropout=0.3", "model.width=4"),
    ("model=cnn1d", "model.width=6", "optimizer=adam"),
    ("schedule=one_cycle",),
    ("schedule=cyclical", "optimizer=nesterov"),
    ("schedule=plateau", "schedule.patience=0"),
    ("loss.label_smoothing=0.1",),
    ("trainer.flood=1.0", "optimizer.lr=0.05", "loss.label_smoothing=0.1"),
    ("trainer.max_norm=0.6", "model=cnn2d", "model.width=4"),
]


# Every one in numbers so exact that a rule that differs shows, and of each kind one as it trains.
KINDS = (0, 3, 11, 12, 13, 19)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "dtype", "tolerance"),
    [
        *((words, torch.float64, 1e-9) for words in PROGRAMS),
        *((PROGRAMS[kind], torch.float32, 1e-4) for kind in KINDS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_every_lane_is_what_plain_torch_gives(words, dtype, tolerance):
    configs = {trial: config_of(*words, *numbers) for trial, numbers in enumerate(DIFFERENT)}
    company = trained(configs, dtype=dtype)
    assert len(company.keys) == 1
    if dtype == torch.float32 and {"model=cnn1d", "optimizer=adam"} <= set(words):
        # A bias before batch norm has no gradient but rounding, of which Adam makes whole steps.
        tolerance = 1e-3
    for trial, config in configs.items():
        told, model = plainly(config, dtype=dtype)
        for epoch, values in told.items():
            for name, value in values.items():
                assert company.told[trial][epoch][name] == pytest.approx(
                    value, rel=tolerance, abs=tolerance
                ), name
        if dtype == torch.float32:
            continue
        state = company.kept[trial].states[3]["model"]
        assert list(state) == list(model.state_dict())
        for name, tensor in model.state_dict().items():
            assert (state[name].double() - tensor.double()).abs().max() <= tolerance * max(
                1, tensor.double().abs().max()
            ), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("model.width=33", "optimizer=adam", "model.dropout=0.3"),
        ("model.width=64", "model.depth=2"),
        ("model=cnn2d", "model.width=4", "model.dropout=0.1"),
        ("model=cnn1d", "model.width=5", "schedule=one_cycle"),
    ],
    ids=["mlp, odd width", "mlp", "cnn2d", "cnn1d"],
)
def test_a_lane_has_the_same_bits_alone_and_in_any_company(words):
    configs = {
        trial: config_of(*words, f"seed={trial}", f"optimizer.lr={0.001 * (1 + trial % 5)}")
        for trial in range(16)
    }
    whole = trained(configs).told
    for count in (1, 3, 7):
        some = random.Random(count).sample(range(16), count)
        for trial, told in trained({trial: configs[trial] for trial in some}).told.items():
            assert bits(told) == bits(whole[trial]), (count, trial)


def test_lanes_that_come_and_go_do_not_disturb_those_that_stay():
    configs = {trial: config_of("model.dropout=0.2", f"seed={trial}") for trial in range(5)}
    calm = trained(configs, epochs=4).told
    busy = Company()
    for trial in (0, 1, 2):
        busy.come(trial, configs[trial])
    busy.epochs(2)
    busy.go(1)
    busy.come(3, configs[3])
    busy.epochs(2)  # the newcomer's untrained look, then an epoch of all three
    busy.come(4, configs[4])
    busy.epochs(6)
    assert sorted(busy.told[1]) == [0, 1]
    for trial in (0, 2, 3, 4):
        assert bits(busy.told[trial]) == bits(calm[trial])
    assert bits(busy.told[1]) == {epoch: bits(calm[1])[epoch] for epoch in (0, 1)}
    assert sorted(busy.group.finished()) == [0, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("optimizer=adam", "model.dropout=0.2"),
        ("model=cnn2d", "schedule=plateau", "schedule.patience=0"),
    ],
)
def test_a_lane_goes_on_elsewhere_in_another_company_with_the_same_bits(words):
    configs = {trial: config_of(*words, f"seed={trial}") for trial in range(4)}
    whole = trained(configs, epochs=4)
    other = Company()
    other.come(3, configs[3])
    other.epochs(1)
    other.come(0, configs[0], saved=whole.kept[0].states[2], epoch=2)
    other.epochs(2)
    for epoch in (3, 4):
        assert bits(other.told[0])[epoch] == bits(whole.told[0])[epoch]
        for part in ("model", "optimizer"):
            for name, tensor in whole.kept[0].states[epoch][part].items():
                assert torch.equal(tensor, other.kept[0].states[epoch][part][name]), name


def test_buffers_that_no_state_dict_holds_survive_a_move_in_lanes_and_alone(stock, tmp_path):
    configs = {trial: config_of(f"seed={trial}", model="Unsaved") for trial in range(2)}
    whole = trained(configs, epochs=4)
    other = Company()
    other.come(0, configs[0], saved=whole.kept[0].states[2], epoch=2)
    other.epochs(2)
    assert bits(other.told[0])[4] == bits(whole.told[0])[4]
    parts = {}
    for stop in (1, 3):
        seats, checkpoint = stock(), FolderCheckpoint(tmp_path / "alone")
        seats.admit(0, config=configs[0], checkpoint=checkpoint)
        while not parts or max(parts) < stop:
            (outcome,) = seats.step()
            parts[outcome.epoch] = outcome.values["val_loss"]
            checkpoint.confirm(outcome.epoch, best_epoch=1)
        checkpoint.flush()
    seats = stock()
    seats.admit(0, config=configs[0], checkpoint=FolderCheckpoint(tmp_path / "calm"))
    assert parts == {epoch: seats.step()[0].values["val_loss"] for epoch in range(4)}


@pytest.mark.slow
def test_what_lanes_may_differ_in_is_each_lanes_own():
    """Rates that the model reads, the optimizer's first state, dampening alone, a lambda."""
    pairs = [
        [config_of("seed=1", model="Reading", rate=rate) for rate in (0.1, 0.6)],
        [
            config_of("optimizer=adagrad", f"+optimizer.initial_accumulator_value={first}")
            for first in (0.0, 1.0)
        ],
        [
            config_of(
                f"optimizer.momentum={momentum}", "+optimizer.dampening=0.5", "optimizer.lr=0.01"
            )
            for momentum in (0.9, 0.0)
        ],
    ]
    for pair in pairs:
        company = trained(dict(enumerate(pair)), dtype=torch.float64)
        assert len(company.keys) == 1
        for trial, config in enumerate(pair):
            told, _ = plainly(config, dtype=torch.float64)
            for name in ("train_loss", "val_loss"):
                assert company.told[trial][3][name] == pytest.approx(told[3][name], abs=1e-9)
    company = Company()
    for trial, act in enumerate(("relu", "tanh")):
        company.come(trial, config_of(model="Chosen", act=act))
    assert len(company.keys) == 2


def test_a_program_that_raises_names_nobody_but_one_who_is_alone(stock, tmp_path):
    seats = stock()
    config = config_of(model="Fragile")
    seats.fuse(seats.key(config).name)
    seats.admit(0, config=config, checkpoint=FolderCheckpoint(tmp_path / "0"))
    seats.admit(
        1,
        config={**config, "optimizer": {**config["optimizer"], "lr": 1e6}},
        checkpoint=FolderCheckpoint(tmp_path / "1"),
    )
    kinds = [{type(outcome) for outcome in seats.step()} for _ in range(2)]
    assert kinds[-1] == {Disruption}
    seats.release(0)
    assert [type(outcome) for outcome in seats.step()] == [Failure]


def test_a_lane_that_explodes_leaves_the_others_bits_alone():
    calm = {trial: config_of(f"seed={trial}") for trial in range(3)}
    with_one = trained(
        {
            **calm,
            3: config_of("seed=3", "optimizer.lr=1000"),
            4: config_of("seed=4", "trainer.clip=1"),
        }
    )
    assert not np.isfinite(with_one.told[3][3]["train_loss"])
    without = trained(calm)
    for trial in calm:
        assert bits(with_one.told[trial]) == bits(without.told[trial])


@pytest.mark.slow
def test_lanes_may_differ_in_dropout_and_label_smoothing_and_must_not_in_structure():
    def key(*words):
        model, loss, optimizer, _ = made(config_of(*words))
        return fusion_key(model, loss, optimizer, batch=32, rows=70)

    one = key(
        "model.dropout=0.1",
        "loss.label_smoothing=0.1",
        "optimizer.lr=1",
        "trainer.l1=1",
        "seed=5",
        "schedule=cosine",
    )
    assert one == key("model.dropout=0.4", "loss.label_smoothing=0.3", "optimizer.weight_decay=1")
    words = ["model.width=9", "optimizer=adam", "optimizer=amsgrad", "optimizer=nesterov"]
    words += ["model.activation=gelu", "model.dropout=0.1", "model=cnn1d", "loss=mse"]
    others = {one, key(), *map(key, words)}
    assert len(others) == 10
    configs = {t: config_of(f"model.dropout={drop}", f"loss.label_smoothing={smooth}", f"seed={t}")
               for t, (drop, smooth) in enumerate([(0.1, 0.3), (0.6, 0.1)])}  # fmt: skip
    company = trained(configs, dtype=torch.float64)
    for trial, config in configs.items():
        assert company.told[trial][3]["val_loss"] == pytest.approx(
            plainly(config, dtype=torch.float64)[0][3]["val_loss"], abs=1e-9
        )


@pytest.fixture(scope="module")
def stock():
    words = ["trainer.epochs=3"]
    config = compose_experiment("lr_sweep", overrides=words, config_dir=None)
    data = prepare(config, metric=Metric(name="accuracy", direction="maximize")).final
    return lambda: Stock(data=Data(train=data.train, val=data.val), device="cpu")


@pytest.mark.parametrize(
    "model",
    [
        "Two",
        "Tied",
        "InPlace",
        "Functional",
        "Masked",
        "Frozen",
        "Chosen",
        "Overwritten",
        "Reading",
        "Twice",
        "Unsaved",
    ],
)
def test_an_ordinary_module_shares_a_program_and_is_right(model, stock):
    assert stock().measure(config_of(model=model), trials=None).cause == ""
    configs = {
        trial: config_of(f"seed={trial}", "optimizer.weight_decay=0.1", model=model)
        for trial in (1, 2)
    }
    company = trained(configs, dtype=torch.float64)
    for trial, config in configs.items():
        told, plain = plainly(config, dtype=torch.float64)
        assert company.told[trial][3]["train_loss"] == pytest.approx(
            told[3]["train_loss"], abs=1e-9
        )
        for name, tensor in plain.state_dict().items():
            assert torch.allclose(
                company.kept[trial].states[3]["model"][name], tensor, atol=1e-9
            ), name


@pytest.mark.filterwarnings("ignore:dropout2d")
@pytest.mark.parametrize(
    ("model", "cause"),
    [
        ("Assigned", "buffer seen: values differ in lanes by"),
        ("Noisy", "called random operation"),
        ("Branching", "data-dependent control flow"),
        ("OwnGradient", "autograd.Function"),
        ("Normed", "first has hooks"),
        ("OldNormed", "first has hooks"),
        ("Sparse", "sparse"),
        ("Counting", "outputs in evaluation mode differ in lanes by"),
        ("Annealed", "forward assigns heat anew instead of changing it in place"),
        ("Flat", "dropout2d of 3 dimensions has no form for lanes"),
        ("EvaluatedOnly", "no training step reaches late.weight"),
        ("Extra", "the model keeps a state of its own"),
        (
            "Writing",
            "outputs in evaluation mode differ|forward changes buffer count in evaluation mode",
        ),
        ("made_here", r"model \(Net\): its class made_here.<locals>.Net is made in a function"),
        ("Stray", r"model \(Stray\).mask is a tensor that is neither a parameter nor a buffer"),
        ("Recurrent", "gru .* cannot be compared"),
        ("Attention", "called random operation"),
    ],
)
def test_a_model_that_lanes_would_get_wrong_trains_alone_and_the_cause_is_told(
    model, cause, stock, tmp_path
):
    seats = stock()
    told = (
        seats.key(config_of(model=model)).cause
        or seats.measure(config_of(model=model), trials=None).cause
    )
    with pytest.raises(Unfusable, match=cause):
        raise Unfusable(told)
    seats.admit(0, config=config_of(model=model), checkpoint=FolderCheckpoint(tmp_path))
    for _ in range(3):
        (outcome,) = seats.step()
        assert not isinstance(outcome, Failure)


def test_a_model_whose_rows_depend_on_each_other_is_refused_also_where_one_pass_takes_them_all(
    stock,
):
    whole = stock()
    x, y = (tensor[:300].numpy() for tensor in whole.sets[0])
    part = Part(index=np.arange(300), x=x, y=y)
    few = Stock(data=Data(train=part, val=part), device="cpu")
    for seats in (whole, few):
        assert (
            "in evaluation mode differ in lanes"
            in seats.measure(config_of(model="Mixing"), trials=None).cause
        )


def test_what_lanes_do_not_know_is_refused_by_name():
    model, loss, optimizer, _ = made(config_of())
    with pytest.raises(Unfusable, match="NAdam has no form for lanes"):
        fusion_key(model, loss, torch.optim.NAdam(model.parameters()), batch=32, rows=70)
    groups = torch.optim.SGD([{"params": [p]} for p in model.parameters()], lr=1)
    with pytest.raises(Unfusable, match="the optimizer has several groups of parameters"):
        fusion_key(model, loss, groups, batch=32, rows=70)
    with pytest.raises(Unfusable, match="the loss is not a mean over rows"):
        fusion_key(model, nn.CrossEntropyLoss(reduction="sum"), optimizer, batch=32, rows=70)
    with pytest.raises(Unfusable, match="the loss has parameters of its own"):
        fusion_key(model, nn.Sequential(loss, nn.PReLU()), optimizer, batch=32, rows=70)
    with pytest.raises(Unfusable, match="the model has nothing to train"):
        fusion_key(model.requires_grad_(False), loss, optimizer, batch=32, rows=70)


def test_the_pace_of_lanes_is_measured_up_to_where_more_are_no_faster(stock):
    pace = stock().measure(config_of("model.width=8"), trials=1000)
    assert pace.cause == ""
    assert pace.alone > 0
    assert list(pace.lanes)[:3] == [2, 4, 8]
    assert (
        max(lanes * pace.alone / seconds for lanes, seconds in pace.lanes.items()) > 1.5
    )  # 5 where nothing else runs


def test_masks_drop_their_share_and_no_two_keys_alike():
    ones = torch.ones(200_000)
    kept = {}
    for key in (0, 1, 2, -7, 2**31 - 1):
        for rate in (0.0, 0.1, 0.5, 0.9):
            x = masked(ones, rate, key=torch.tensor(key, dtype=torch.int32), shape=(200_000,))
            assert (x == 0).float().mean() == pytest.approx(rate, abs=0.005)
            assert x.mean() == pytest.approx(1, abs=0.02)
        kept[key] = x > 0
    assert masked(ones, 1.0, key=torch.tensor(3, dtype=torch.int32), shape=(200_000,)).sum() == 0
    for one, other in [(0, 1), (1, 2), (2, -7), (-7, 2**31 - 1)]:
        assert (
            torch.corrcoef(torch.stack([kept[one].float(), kept[other].float()]))[0, 1].abs() < 0.01
        )
    steps = torch.stack(
        [
            masked(ones[:500], 0.5, key=torch.tensor(k, dtype=torch.int32), shape=(500,)) > 0
            for k in range(400)
        ]
    )
    assert steps.float().mean(0).std() == pytest.approx(
        0.025, abs=0.004
    )  # as a fair coin's: no element is favoured


def test_dropout_is_counted_by_call_as_a_function_and_as_a_module_and_left_alone_outside():
    x, key = torch.ones(8, 4, 10), torch.tensor(5, dtype=torch.int32)
    with in_place_of_torchs(counted_dropout(key)):
        one, two, channels = functional.dropout(x, 0.5), nn.Dropout(0.5)(x), nn.Dropout1d(0.5)(x)
        still = functional.dropout(x, 0.5, training=False)
    with in_place_of_torchs(counted_dropout(key)):
        again = nn.Dropout(0.5)(x)
    assert torch.equal(one, again)
    assert not torch.equal(one, two)
    assert torch.equal(still, x)
    assert set(channels.sum(2).flatten().tolist()) == {0.0, 20.0}
    torch.manual_seed(0)
    theirs = functional.dropout(x, 0.5)
    torch.manual_seed(0)
    assert torch.equal(theirs, torch.dropout(x, 0.5, True))


def test_rows_of_the_two_halves_of_a_split_are_those_of_a_seat(stock, tmp_path):
    """Without dropout, a lane and a seat see the same rows in the same order and start alike."""
    config = config_of("trainer.epochs=3")
    lane, seat = stock(), stock()
    lane.fuse(lane.key(config).name)
    for seats, place in ((lane, "lane"), (seat, "seat")):
        seats.admit(0, config=config, checkpoint=FolderCheckpoint(tmp_path / place))
    for _ in range(4):
        (one,), (other,) = lane.step(), seat.step()
        assert one.epoch == other.epoch
        assert set(one.values) == set(other.values)
        for name in set(one.values) - {"predictions", "layers"}:
            assert one.values[name] == pytest.approx(other.values[name], rel=1e-3), name
        assert set(one.values["layers"]) == set(other.values["layers"])
        for series, told in one.values["layers"].items():
            assert told == pytest.approx(other.values["layers"][series], rel=1e-2, abs=1e-6), series
        assert np.allclose(one.values["predictions"], other.values["predictions"], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("model.dropout=0.3", "optimizer=adam", "model.width=33"),
        ("model=cnn2d", "model.width=2"),
        ("loss.label_smoothing=0.1",),
    ],
    ids=["mlp", "cnn", "smoothing"],
)
def test_a_traced_step_is_never_seen_but_in_time(words, monkeypatch):
    configs = {trial: config_of(*words, f"seed={trial}") for trial in range(7)}

    def going():
        """Seven lanes, then six, then one."""
        company = trained(configs, epochs=2)
        company.go(3)
        company.epochs(1)
        for trial in (0, 1, 2, 4, 5):
            company.go(trial)
        company.epochs(1)
        return company

    plain = going()
    monkeypatch.setattr(traced, "AFTER", 1)
    monkeypatch.setattr(traced, "SETTLED", 1)
    monkeypatch.setattr(traced, "SLOW", 10)
    quick = going()
    tracing = quick.group._program._traced
    assert not tracing.given_up
    assert sorted({lanes for lanes, _ in tracing.checked}) == [2, 6, 7]
    assert {trial: bits(told) for trial, told in quick.told.items()} == {
        trial: bits(told) for trial, told in plain.told.items()
    }


def _turned_and_back(rows, x):
    turned = x.transpose(1, 2).transpose(1, 2).expand(len(x), 3, 5).view(len(x), 3, 5) * 2
    rows["weights"].transpose(1, 2).transpose(1, 2).add_(turned)
    return turned.clone(), rows["weights"].sum((1, 2))


def _one_memory_under_two_names(rows, x):
    first = rows["weights"].transpose(1, 2)
    second = first.transpose(1, 2)
    kept = second.clone()
    second.mul_(x + 1)
    return kept, first.transpose(-1, -2) + kept


@pytest.mark.parametrize("step", [_turned_and_back, _one_memory_under_two_names])
def test_calls_that_change_nothing_are_left_out_of_a_trace_and_nothing_changes(step, monkeypatch):
    """Sizes 3 and 5 are those of the lanes that are traced, too."""
    monkeypatch.setattr(traced, "AFTER", 1)
    monkeypatch.setattr(traced, "SETTLED", 1)
    monkeypatch.setattr(traced, "SLOW", 10)
    tracing = traced.Traced(step)
    for lanes in (2, 2, 3, 3, 4, 4, 5, 5, 9, 9, 9):
        x, rows = torch.rand(lanes, 3, 5), {"weights": torch.rand(lanes, 3, 5)}
        apart = {"weights": rows["weights"].clone()}
        pairs = [
            *zip(step(apart, x), tracing(rows, x), strict=True),
            (apart["weights"], rows["weights"]),
        ]
        assert all(torch.equal(one, other) for one, other in pairs)
    assert not tracing.given_up
    assert {lanes for lanes, _ in tracing.checked} == {2, 3, 4, 5, 9}
    (module,) = tracing._modules.values()
    assert module.code.count("transpose(") == (0 if step is _turned_and_back else 2)


@pytest.mark.parametrize(
    "step",
    [
        lambda rows, x: (
            x.sum(1) if len(x) < 4 else (2 * x).sum(1),
        ),  # another program for more lanes
        lambda rows, x: (x.sum(1) * len(x) ** 2,),  # a number that does not lie on a line
        lambda rows, x: (x.sum(1) * float(x.mean()),),  # a number from the data
        lambda rows, x: (x.sum(1) * next(CLOCK),),  # state that a trace does not see
    ],
)
def test_what_a_trace_would_get_wrong_is_not_traced(step, monkeypatch):
    monkeypatch.setattr(traced, "AFTER", 1)
    monkeypatch.setattr(traced, "SETTLED", 1)
    monkeypatch.setattr(traced, "SLOW", 10)
    tracing = traced.Traced(step)
    for lanes in (2, 3, 4, 5, 9, 9):
        x = torch.rand(lanes, 6)
        rows = {"weights": torch.zeros(lanes, 1)}
        expected = None if step.__code__.co_names[-1] == "CLOCK" else step(rows, x)[0]
        (found,) = tracing(rows, x)
        if expected is not None:
            assert torch.equal(found, expected)
    assert tracing.given_up
