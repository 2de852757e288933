"""A protocol, a knob or a file that cannot be is refused by its own code, and nothing is written."""

import sys
from pathlib import Path

import pytest
from refusals import check_told, raises

from search.__main__ import main
from search.config.space import read_space

TIMED = [
    "metric=composite", "metric.formula='accuracy - 0.01*log10(seconds)'",
    "metric.direction=maximize", "schedule=plateau", "schedule.watch=metric",
]  # fmt: skip
FOLLOWS = ["lr_sweep", "protocol.link=linear"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["protocol=joint"], ("protocol-lists-no-stages", "protocol=joint", "guide")),
        (["protocol.knobs=[]"], ("protocol-needs-knob", "space=[lr]")),
        (["space=[optimizer.lr]"], ("space-names-files", "optimizer.lr", "knob.optimizer.lr=")),
        (["space=[lrr]"], ("unknown-knob", "'lrr'", "'lr'")),
        (["space=[]"], ("space-names-no-knob", "space=[lr,dropout]")),
        (["space.model.widht.low=3"], ("unknown-key-of-knob", "space.model.widht.low=3")),
        (["protocol.share=1"], ("share-not-below-one", "protocol.share", "1")),
        (["protocol.share=0"], ("wrong-type-or-range", "protocol.share", "0")),
        (["protocol.stages=[baseline,dance]"], ("unknown-stage", "'dance'", "confirm")),
        (["protocol.stages=[baseline,{sweep: lrr}]"], ("stage-of-unknown-knob", "'lrr'", "'lr'")),
        (["protocol.stages=[baseline,{sweeps: often}]"], ("unknown-order-of-sweeps", "'often'", "given")),
        (["protocol.stages=[confirm]"], ("protocol-needs-baseline", "['confirm']", "baseline")),
        (["protocol.stages=[baseline,{sweeps: passes}]", "protocol.passes=null"], ("passes-need-an-end", "None", "protocol.passes=3")),
        (["protocol.stages=[[baseline]]"], ("stage-entry-not-understood", "['baseline']")),
        (["budget_trials=1"], ("budget-too-small", "budget_trials", "37")),
        (["protocol.until=[dance]"], ("unknown-verdict", "protocol.until", "'dance'")),
        (["metric=mse"], ("metric-does-not-fit-task", "metric=accuracy")),
    ],
)  # fmt: skip
def test_a_protocol_that_cannot_be_run_is_refused(words, message, elsewhere, capsys):
    assert main(["tune", *words]) == 2
    told = capsys.readouterr()
    check_told(told.err, *message)
    assert "stages:" not in told.out  # what cannot be run is not announced


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*FOLLOWS, "protocol.follower=optimizer.lr"], ("follower-is-a-knob", "optimizer.lr")),
        ([*FOLLOWS, "protocol.follower=seeds"], ("follower-has-no-effect", "seeds")),
        ([*FOLLOWS, "protocol.follower=optimizer.momentum", "optimizer.momentum=0"], ("follower-not-positive", "optimizer.momentum=0")),
        (["own_trainer", "trainer._target_=toys.steady", "knob.seconds=log(1,10)"], ("knob-named-like-column", "space.seconds", "my.seconds")),
        (["lr_sweep", "+space.optimizer.lr.needs=['model.depth>9']"], ("knob-lacks-its-need", "model.depth>9", "model.depth=1")),
        (["lr_sweep", "knob.optimizer=log(1,10)"], ("choices-not-option-names", "space.optimizer")),
        (["lr_sweep", "knob.model.activation=log(1,10)"], ("swept-key-not-a-number", "model.activation", "'relu'")),
        (["own_trainer", "+my.sizes=[1,2]", "knob.my.sizes=choice(1,2)"], ("swept-key-not-a-number", "my.sizes", "[1, 2]")),
        (["lr_sweep", *TIMED], ("timed-metric-not-watched", "schedule.watch=val_loss")),
    ],
)  # fmt: skip
def test_a_knob_or_what_goes_with_it_that_cannot_be_is_refused(words, message, elsewhere, capsys):
    assert main(words) == 2
    check_told(capsys.readouterr().err, *message)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ([1], ("space-not-a-mapping", "[1]")),
        ({"my": {"low": 1, "high": 2, "scale": "log", "why": 3}}, ("wrong-type-or-range", "space.my.why", "3")),
        ({"my": {"choices": [1, 2], "needs": "model.depth=1"}}, ("wrong-type-or-range", "space.my.needs", "'model.depth=1'")),
        ({"my": {"choices": [1, 2], "needs": ["model.depth"]}}, ("needs-not-conditions", "['model.depth']")),
        ({"my": {"low": 1, "high": 2**60, "scale": "log", "type": "int"}}, ("whole-number-too-large", "space.my", "2**53")),
    ],
)  # fmt: skip
def test_a_space_that_breaks_a_rule_is_refused(space, message):
    with raises(*message):
        read_space(space)


def test_a_file_of_ones_own_that_cannot_be_taken_is_named(elsewhere, capsys):
    Path("latin.yaml").write_bytes(b"a: \xff\n")
    assert main(["train", "latin.yaml"]) == 2
    check_told(capsys.readouterr().err, *("config-not-readable", "latin.yaml"))
    Path("own/experiment").mkdir(parents=True)
    Path("own/experiment/table.yaml").write_text("# @package _global_\n# x\n# Mine.\n")
    told = ("experiment-named-like-verb", "own/experiment/table.yaml", "'table'")
    assert main(["lr_sweep", "--config-dir", "own"]) == 2
    check_told(capsys.readouterr().err, *told)


@pytest.mark.parametrize(
    ("package", "words", "message"),
    [
        ("cmaes", ["joint", "sampler=cmaes", "space=[lr,dropout]"], ("cmaes-not-installed", "'knobwise[cmaes]'")),
        ("distributed", ["lr_sweep", "placement=dask"], ("dask-not-installed", "'knobwise[dask]'", "placement=local")),
        ("ray", ["lr_sweep", "placement=ray"], ("ray-not-installed", "'knobwise[ray]'", "placement=local")),
    ],
)  # fmt: skip
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    package, words, message, elsewhere, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(words) == 2
    check_told(capsys.readouterr().err, *message)
