"""Lanes as a user meets them: a sweep in lanes, its winner alone, kills, poison, who decides."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from kit import INLINE, search, trials
from odd import SHAPE
from refusals import check_told, raises

from search.config.compose import compose_experiment
from search.config.plan import read_plan
from search.config.settings import Limits
from search.contract.metrics import Metric
from search.execution.connections import WorkerHandle
from search.execution.lanes import Fusion, Fusions, decide
from search.execution.progress import ShownProgress
from search.execution.running_trial import RunningTrial, fresh_early_stopping
from search.execution.slots import Slot
from search.execution.terminal import Terminal
from search.execution.trial_queue import TrialQueue
from search.storage.sealed import read_json
from search.storage.trials import TrialSpec
from trainers.api import Pace

SWEEP = [
    "lr_sweep",
    "trainer.epochs=4",
    "trainer.batch_size=128",
    "model.width=16",
    "model.dropout=0.2",
    "space.optimizer.lr.points=5",
    "protocol.refine=0",
    "protocol.extend=0",
    "report=off",
]
TWO = ["space.optimizer.lr.points=2", "space.optimizer.lr.high=0.1"]  # the baseline's and another
FAST = Pace(alone=1.0, lanes={2: 1.8, 4: 1.8, 8: 2.0, 16: 4.1})
METRIC = Metric(name="accuracy", direction="maximize")
LIMITS = Limits(
    patience=None, last_epoch=None, timeout=None, epoch_timeout=60, max_retries=2, log_bytes=1000
)


@pytest.fixture(scope="module")
def laned(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("laned")
    done = search(*SWEEP, *INLINE, "lanes=8", cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd, done.stdout


def test_a_sweep_in_lanes_says_so_and_its_winner_trains_alone_to_the_same_bits(laned):
    cwd, told = laned
    assert "lanes: up to 8 at a time (lanes=8)" in told
    table = trials(cwd / "results" / "lr_sweep")
    assert set(table.strategy) == {"vmap"}
    assert (table.state == "complete").sum() >= 12
    assert "lanes: 2\n" in (cwd / "results" / "lr_sweep" / "best.yaml").read_text()
    again = search("train", "results/lr_sweep/best.yaml", cwd=cwd)
    assert again.returncode == 0, again.stdout + again.stderr
    assert set(trials(cwd / "results" / "lr_sweep-train").strategy) == {"vmap"}


def test_lanes_or_not_the_numbers_agree_but_for_rounding_and_dropout(laned, tmp_path):
    done = search(*SWEEP, *INLINE, "lanes=off", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lanes" not in done.stdout
    alone, lanes = (
        trials(tmp_path / "results" / "lr_sweep"),
        trials(laned[0] / "results" / "lr_sweep"),
    )
    assert set(alone.strategy) == {"loop"}
    both = alone.merge(lanes, on=["optimizer.lr", "seed"])
    assert len(both) == len(alone) == 15
    assert (both.value_x - both.value_y).abs().mean() < 0.03
    curves = pd.read_parquet(laned[0] / "results" / "lr_sweep" / "curves.parquet")
    assert {"train_loss", "val_loss", "grad_norm", "update_ratio", "lr", "step"} <= set(
        curves.columns
    )


def test_folds_and_a_joint_search_sit_in_lanes(tmp_path):
    folds = ["lanes=6", "split=kfold", "split.folds=3", "seeds=1", "trainer.epochs=2", "name=folds"]
    done = search(*SWEEP, *INLINE, *TWO, *folds, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(trials(tmp_path / "results" / "folds").strategy) == {"vmap"}
    again = search("train", "results/folds/best.yaml", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    words = [
        "joint",
        "space=[lr,weight_decay,dropout]",
        "n_trials=6",
        "trainer.epochs=2",
        "model.width=16",
        "sampler=qmc",
    ]
    words += ["lanes=auto", "protocol.confirm=1", "placement.slots=1", "rehearse=false"]
    done = search(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(tmp_path / "results" / "joint")
    assert len(table.query("stage == 'joint'")) == 6
    is_kept = "measured times scattered and are not kept" not in done.stdout
    assert (tmp_path / "results" / "lanes.json").exists() == is_kept  # for other searches
    assert json.loads((tmp_path / "results" / "joint" / "lanes.json").read_text())


def test_one_trial_that_kills_its_worker_costs_its_companions_nothing(tmp_path):
    """Seed 1 ends the process in which it is built, twice in company, then by itself."""
    words = ["model._target_=odd.Poison", *SHAPE, "model.width=16"]
    done = search(
        *[word for word in SWEEP if not word.startswith("model")],
        *words,
        "lanes=8",
        "seeds=2",
        *TWO,
        "placement.slots=1",
        "placement.max_retries=0",
        "rehearse=false",
        cwd=tmp_path,
    )
    table = trials(tmp_path / "results" / "lr_sweep")
    assert set(table[table.seed == 1].state) == {"lost"}, done.stdout + done.stderr
    assert set(table[table.seed != 1].state) <= {"complete", "infeasible"}


ODD = [*SHAPE, "rehearse=false"]
THREE = [
    *[word for word in SWEEP if not word.startswith("model")],
    "space.optimizer.lr.points=3",
    "placement.slots=1",
]


def test_what_one_trial_does_in_company_is_held_against_it_alone(tmp_path):
    """One explodes for all, one cannot be built, one prints too much: others run again alone."""
    raising = [
        "model._target_=odd.Fragile",
        *ODD,
        "space.optimizer.lr.high=1e6",
        "space.optimizer.lr.max=1e6",
        "seeds=1",
        "lanes=4",
        "name=raising",
    ]
    done = search(*THREE, *raising, cwd=tmp_path)
    table = trials(tmp_path / "results" / "raising")
    assert set(table[table["optimizer.lr"] < 0.2].state) == {"complete"}, done.stdout + done.stderr
    assert table[table["optimizer.lr"] > 1e5].state.item() == "failed"
    assert "trying again, alone in its worker" in done.stdout
    done = search(
        *THREE,
        *TWO,
        "model._target_=odd.Choosy",
        *ODD,
        "seeds=2",
        "lanes=4",
        "name=choosy",
        cwd=tmp_path,
    )
    table = trials(tmp_path / "results" / "choosy")
    assert set(table[table.seed == 0].state) <= {"complete", "infeasible"}, (
        done.stdout + done.stderr
    )
    assert set(table[table.seed == 1].state) == {"failed"}
    talking = [
        "model._target_=odd.Talking",
        *ODD,
        "seeds=1",
        "lanes=4",
        "trainer.max_log_mb=1",
        "placement.max_retries=0",
    ]
    long = ["trainer.epochs=300", "trainer.patience=null"]
    search(*THREE, *TWO, *talking, *long, "name=talking", cwd=tmp_path)
    table = trials(tmp_path / "results" / "talking")
    assert set(table.state) <= {"failed", "infeasible", "queued"}
    assert table.reason.str.startswith("printed more than trainer.max_log_mb=1 MB").sum() >= 2
    assert (
        sum(path.stat().st_size for path in (tmp_path / "results" / "talking" / "logs").iterdir())
        < 20e6
    )


def test_lanes_that_run_out_of_memory_go_on_by_halves(tmp_path):
    few = [*SWEEP, *INLINE, "seeds=1", "space.optimizer.lr.points=7", "trainer.epochs=2"]
    calm = search(*few, "lanes=2", "name=calm", cwd=tmp_path)
    assert calm.returncode == 0, calm.stdout + calm.stderr
    expected = trials(tmp_path / "results" / "calm").sort_values("optimizer.lr")
    for name, halves in (("Cramped", (4, 2)), ("Full", (2,))):  # in a step, and at a seat
        done = search(*few, f"trainer._target_=odd.{name}", "lanes=8", f"name={name}", cwd=tmp_path)
        for half in halves:
            told = f"lanes: up to {half} at once: more need too much memory"
            assert done.stdout.count(told) == 1, done.stdout + done.stderr
        assert "trying again" not in done.stdout
        found = trials(tmp_path / "results" / name).sort_values("optimizer.lr")
        assert found.state.tolist() == expected.state.tolist()
        assert set(found[found["optimizer.lr"] < 0.2].state) == {"complete"}
        pd.testing.assert_series_equal(found.value, expected.value, check_index=False)
        (kept,) = read_json(tmp_path / "results" / name / "lanes.json").values()
        assert (kept["strategy"], kept["seats"]) == ("vmap", 2)


def test_memory_that_runs_out_for_several_programs_costs_no_trial(tmp_path):
    words = [
        "width_sweep",
        "trainer.epochs=2",
        "seeds=1",
        "protocol.refine=0",
        "protocol.extend=0",
        *INLINE,
    ]
    space = ["space.model.width.low=8", "space.model.width.high=64", "space.model.width.points=4"]
    done = search(*words, *space, "trainer._target_=odd.Tight", "lanes=8", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(trials(tmp_path / "results" / "width_sweep").state) == {"complete"}
    assert "need too much memory" not in done.stdout


def test_where_not_even_two_have_room_trials_train_one_by_one(tmp_path):
    fusions = Fusions(tmp_path, shared=tmp_path / "shared", most=None, slots=1)
    fusions.settle("key", Fusion(strategy="vmap", seats=8, why=""), Pace())
    assert fusions.crowded("key", seats=4) == (
        Fusion(strategy="vmap", seats=4, why="up to 4 at once: more need too much memory"),
        "lanes: up to 4 at once: more need too much memory",
    )
    assert fusions.crowded("key", seats=6)[0].seats == 4  # a worker that had not heard of it
    alone = Fusion(strategy="loop", seats=1, why="one by one: two at once need too much memory")
    assert fusions.crowded("key", seats=1)[0] == alone
    again = Fusions(tmp_path, shared=tmp_path / "shared", most=None, slots=1)
    assert again.setup().decisions["key"].seats == 1


def test_why_trials_train_one_by_one_is_told_once(tmp_path):
    done = search(
        *THREE,
        "rehearse=false",
        "optimizer._target_=torch.optim.NAdam",
        "~optimizer.momentum",
        "seeds=1",
        cwd=tmp_path,
    )
    assert done.stdout.count("lanes: one by one: NAdam has no form for lanes") == 1, (
        done.stdout + done.stderr
    )
    assert set(trials(tmp_path / "results" / "lr_sweep").strategy) == {"loop"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["lanes=1"],
            ("wrong-type-or-range", "lanes: ", "1"),
        ),
        (
            ["lanes=many"],
            ("wrong-type-or-range", "lanes: ", "'many'"),
        ),
        (
            ["lanes=4", "metric=composite", "metric.formula='accuracy - 0.01 * log10(seconds)'"],
            ("timed-metric-needs-no-lanes", "4", "lanes=off"),
        ),
    ],
)
def test_lanes_that_cannot_be_are_refused(words, message, tmp_path):
    done = search("lr_sweep", *words, cwd=tmp_path)
    assert done.returncode == 2
    check_told(done.stderr, *message)
    assert not (tmp_path / "results").exists()


def test_a_pace_decides_by_how_many_can_train_side_by_side():
    assert decide(FAST, candidates=8, most=None) == Fusion(
        strategy="vmap",
        seats=8,
        why="up to 8 trainings as one program, 8 of them 4.0 times as fast as one by one",
    )
    few = Fusion(strategy="loop", seats=1, why="one by one: 2 at once would be 1.1 times as fast")
    assert decide(FAST, candidates=2, most=None) == few
    assert decide(FAST, candidates=1, most=None).strategy == "loop"
    assert (
        decide(Pace(alone=1.0, lanes={2: 2.4, 4: 4.8}), candidates=64, most=None).strategy == "loop"
    )
    assert decide(Pace(), candidates=1, most=5) == Fusion(
        strategy="vmap", seats=5, why="up to 5 at a time (lanes=5)"
    )
    assert (
        decide(Pace(cause="it has hooks"), candidates=9, most=5).why == "one by one: it has hooks"
    )


def test_programs_that_differ_in_numbers_alone_are_told_of_once(tmp_path):
    """As of six batch sizes: each is a program, with its own pace."""
    fusions = Fusions(tmp_path, shared=tmp_path / "shared", most=None, slots=2)
    paces = [Pace(alone=1.0, lanes={lanes: seconds}) for lanes, seconds in ((2, 1.9), (4, 3.5))]
    paces += [Pace(alone=1.0, lanes={4: 2.0}), Pace(alone=1.0, lanes={8: 2.0})]
    paces += [Pace(cause="Conv1d has 2 hooks"), Pace(cause="Conv1d has 3 hooks")]
    told = [
        fusions.settle(str(key), decide(pace, candidates=9, most=None), pace)[1]
        for key, pace in enumerate(paces)
    ]
    assert told == [
        "lanes: one by one: 2 at once would be 1.1 times as fast",
        "",
        "lanes: up to 4 trainings as one program, 4 of them 2.0 times as fast as one by one",
        "",
        "lanes: one by one: Conv1d has 2 hooks",
        "lanes: one by one: Conv1d has 3 hooks",
    ]


def test_what_was_decided_first_holds_and_what_was_measured_is_kept_for_other_searches(tmp_path):
    (tmp_path / "a").mkdir()
    fusions = Fusions(tmp_path / "a", shared=tmp_path, most=None, slots=2)
    vmap, loop = (
        Fusion(strategy=name, seats=seats, why=name) for name, seats in (("vmap", 8), ("loop", 1))
    )
    pace = Pace(alone=1.0, lanes={2: 1.5})
    assert fusions.settle("key", vmap, pace) == (vmap, "lanes: vmap")
    assert fusions.settle("key", loop, pace) == (vmap, "")
    assert (
        Fusions(tmp_path / "a", shared=tmp_path, most=0, slots=2).settle("key", loop, pace)[0]
        == vmap
    )
    (tmp_path / "b").mkdir()
    other = Fusions(tmp_path / "b", shared=tmp_path, most=None, slots=2).setup()
    assert (other.decisions, other.paces) == ({}, {"key": pace})
    written = (tmp_path / "lanes.json").read_text()
    for text, is_damaged in (
        ('{"key": ', True),
        ("[]", True),
        (written.replace("1.5", "1.4"), True),
        ('{"key": {"alone": 1.0}}', False),
        ('{"key": {"cause": "", "alone": 1.0, "lanes": {"2": 1.5}}}', False),
    ):  # the last is of a version that timed by the wall
        (tmp_path / "lanes.json").write_text(text)
        other = Fusions(tmp_path / "b", shared=tmp_path, most=None, slots=2)
        assert other.setup().paces == {}
        assert ("lanes.json: " in other.damage) == is_damaged
    (tmp_path / "lanes.json").unlink()
    (tmp_path / "lanes.json").mkdir()  # cannot be replaced, as the file of another user
    assert Fusions(tmp_path / "b", shared=tmp_path, most=None, slots=2).settle("key", vmap, pace)[0] == vmap  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "lanes.json"}


def test_a_doubtful_pace_serves_its_own_search_and_is_not_kept_for_others(tmp_path):
    doubtful = Pace(alone=1.0, lanes={2: 0.8}, doubtful=True)
    wanted = decide(doubtful, candidates=2, most=None)
    assert wanted.why.endswith(
        "2.5 times as fast as one by one; measured times scattered and are not kept"
    )
    (tmp_path / "a").mkdir()
    fusions = Fusions(tmp_path / "a", shared=tmp_path, most=None, slots=1)
    fusions.settle("key", wanted, doubtful)
    assert not (tmp_path / "lanes.json").exists()
    again = Fusions(tmp_path / "a", shared=tmp_path, most=None, slots=1).setup()
    assert again.decisions["key"].strategy == "vmap"


@pytest.mark.parametrize(
    "text",
    [
        '{"key": ',
        "[1]",
        '{"key": {"strategy": "x", "seats": 2, "why": ""}}',
        '{"key": {"seats": 2}}',
    ],
)
def test_a_damaged_file_of_decisions_is_named_with_its_remedy(text, tmp_path):
    (tmp_path / "lanes.json").write_text(text)
    with raises("lanes-decisions-damaged", "lanes.json"):
        Fusions(tmp_path, shared=tmp_path / "shared", most=None, slots=1)


def _underway(trial, *, deaths=0):
    spec = TrialSpec(trial=trial, stage="s", knobs={}, seed=0)
    return RunningTrial(
        spec=spec, early_stopping=fresh_early_stopping(METRIC, LIMITS), limits=LIMITS, deaths=deaths
    )


def _served(number, *, room, trials=()):
    worker = WorkerHandle(slot=Slot(number=number, gpu=None, threads=1), connection=None, room=room)
    worker.trials = {trial.spec.trial: trial for trial in trials}
    return worker


def test_trials_are_shared_out_evenly_in_order():
    waiting = TrialQueue([_underway(trial) for trial in range(9)], slots=2)
    first, second = _served(0, room=1), _served(1, room=1)
    for worker, room, numbers in (
        (first, 1, [0]),
        (first, 63, [1, 2, 3, 4]),
        (second, 1, [5]),
        (second, 63, [6, 7, 8]),
    ):
        worker.room = room
        handed = waiting.take(worker, workers=[first, second])
        assert [trial.spec.trial for trial in handed] == numbers
        worker.trials |= {trial.spec.trial: trial for trial in handed}
    assert len(waiting) == 0
    waiting.put_back([_underway(12)])
    waiting.put_back([_underway(11)])
    waiting.add(_underway(13))
    assert [trial.spec.trial for trial in waiting.take(_served(2, room=3), workers=[])] == [11, 12]


def test_a_seat_that_is_free_soon_is_given_away_once_and_shared_out_as_a_free_one():
    ending = _underway(0)
    waiting = TrialQueue([_underway(1), _underway(2), _underway(3)], slots=2)
    worker = _served(0, room=0, trials=[ending])
    other = _served(1, room=0, trials=[_underway(4)])
    assert waiting.take(worker, workers=[worker, other]) == []
    (taken,) = waiting.take(worker, workers=[worker, other], soon=1)
    assert taken.spec.trial == 1
    lanes = _served(2, room=0, trials=[_underway(number) for number in (5, 6, 7)])
    handed = waiting.take(lanes, workers=[lanes], soon=3)
    assert [trial.spec.trial for trial in handed] == [2]  # the other slot is left its share
    poison = _served(3, room=0, trials=[_underway(8, deaths=1)])
    assert waiting.take(poison, workers=[poison], soon=1) == []


def test_a_trial_that_may_be_poison_sits_alone():
    must_run_alone = 1
    waiting = TrialQueue([_underway(0), _underway(1, deaths=must_run_alone), _underway(2)], slots=1)
    worker = _served(0, room=8)
    assert [trial.spec.trial for trial in waiting.take(worker, workers=[worker])] == [0]
    busy = _served(0, room=8, trials=[_underway(0)])
    assert waiting.take(busy, workers=[busy]) == []
    assert [trial.spec.trial for trial in waiting.take(worker, workers=[worker])] == [1]
    alone = _served(0, room=8, trials=[_underway(1, deaths=must_run_alone)])
    assert waiting.take(alone, workers=[alone]) == []


@pytest.mark.slow
def test_trials_in_company_are_one_line_of_the_display():
    config = compose_experiment("lr_sweep", overrides=[], config_dir=None)
    plan, console = (
        read_plan(config, root=Path("/r")),
        Terminal(width=120, record=True, file=io.StringIO()),
    )
    progress, slot = (
        ShownProgress(plan, rows=(), console=console),
        Slot(number=1, gpu=None, threads=1),
    )
    specs = [
        TrialSpec(trial=trial, stage="s", knobs={"optimizer.lr": 0.1}, seed=0)
        for trial in (4, 5, 9)
    ]
    standing = fresh_early_stopping(METRIC, LIMITS)
    for spec in specs:
        progress.began(slot, spec)
        progress.heard(
            slot, standing, {"trial": spec.trial, "epoch": 3, "train_loss": 0.5, "val_loss": 0.6}
        )
    console.print(progress)
    assert re.search(r"1 cpu +4–9 +3/50 +0.5 +0.6 +3 lanes; mean losses", console.export_text())
    progress.left(slot, specs[0])
    progress.left(slot, specs[2])
    console.print(progress)
    assert re.search(r"1 cpu +5 +3/50 +0.5 +0.6 +lr=0.1 seed 0", console.export_text())


def test_a_training_by_itself_measures_nothing_and_says_nothing_of_lanes(smoke):
    best = smoke / "results" / "smoke" / "best.yaml"
    text = best.read_text()
    assert "lanes: 'off'\n" in text
    best.write_text(text.replace("lanes: 'off'\n", "lanes: auto\n"))
    done = search("train", str(best), cwd=smoke)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lanes" not in done.stdout
    assert not (smoke / "results" / "lanes.json").exists()
    assert set(trials(smoke / "results" / "smoke-train").strategy) == {"loop"}
