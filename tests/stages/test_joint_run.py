"""The joint search as a user runs it: processes, pruning, extension, history, export."""

import json

import pandas as pd
import pytest
import yaml
from kit import INLINE, TINY, search, trials
from refusals import check_told

OWN = [word for word in TINY if not word.startswith(("protocol", "trainer._target_"))]
JOINT = [*OWN, "protocol=joint", "space=[lr,weight_decay]", "placement.slots=1", "seeds=1"]


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband", "patient"])
def test_hopeless_trials_are_pruned_at_rungs_count_with_their_best_epoch_and_are_never_ranked(
    pruner, elsewhere
):
    words = [
        *JOINT,
        "trainer._target_=toys.hump",
        "trainer.epochs=12",
        "trainer.patience=null",
        "sampler=qmc",
        "n_trials=24",
        *["report=on"] * (pruner == "median"),
    ]
    rungs = {
        "median": [2, 5, 8, 11],
        "patient": [2, 5, 8, 11],
        "asha": [2, 6],
        "hyperband": [2, 6],
    }[pruner]
    every = ["pruner.every=3"] if pruner in ("median", "patient") else []
    done = search(*words, f"pruner={pruner}", "pruner.warmup=2", *every, "name=j", cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(elsewhere / "results" / "j")
    first, fresh = table[table.stage == "joint"], table[table.stage == "confirm"]
    pruned = first[first.state == "pruned"]
    assert len(first) == 24
    assert 3 <= len(pruned) <= 22
    assert set(pruned.epochs) <= set(rungs)
    assert first.state[0] == "complete"  # the baseline is spared
    assert set(fresh.state) == {"complete"}
    expected = 0.5 + first["optimizer.lr"].map(lambda rate: __import__("math").log10(rate)) / 20
    assert (
        first.value - expected
    ).abs().max() < 1e-12  # the second epoch's, also where the third and more followed
    assert pruned.reason.str.match(r"pruned at epoch \d+: others did better by then").all()
    summary = pd.read_csv(elsewhere / "results" / "j" / "summary.csv")
    assert set(summary.trial) == set(first[first.state == "complete"].trial)
    saved = int((12 - pruned.epochs).sum())
    share = f"{100 * len(pruned) / 24:.0f} %"
    assert (
        f"{first.epochs.sum()} epochs run in 24 trials; up to {saved} saved by pruning {len(pruned)} of them ({share})"
        in done.stdout
    )
    assert (elsewhere / "results" / "j" / "search.svg").exists() == (pruner == "median")


def test_a_finished_joint_search_is_extended_by_more_trials_and_refuses_fewer(elsewhere):
    words = [*JOINT, "trainer._target_=toys.hump", "name=j", "protocol.confirm=2"]
    assert search(*words, "sampler=tpe", "n_trials=12", cwd=elsewhere).returncode == 0
    before = trials(elsewhere / "results" / "j")
    longer = search(*words, "sampler=tpe", "n_trials=16", cwd=elsewhere)
    assert longer.returncode == 0, longer.stderr
    after = trials(elsewhere / "results" / "j")
    pd.testing.assert_frame_equal(before, after[: len(before)])
    assert (after.stage == "joint").sum() == 16
    assert (
        yaml.safe_load((elsewhere / "results" / "j" / "config.yaml").read_text())["n_trials"] == 16
    )
    fewer = search(*words, "sampler=tpe", "n_trials=10", cwd=elsewhere)
    assert fewer.returncode == 2
    check_told(fewer.stderr, "trials-already-finished", "n_trials", "10", "16", "name=")
    seeds = search(*words, "sampler=tpe", "n_trials=16", "seeds=2", cwd=elsewhere)
    assert seeds.returncode == 2
    check_told(seeds.stderr, "joint-seeds-changed", "2, 1 there", "name=")
    other = search(*words, "sampler=gp", "n_trials=16", cwd=elsewhere)
    assert other.returncode == 2
    check_told(other.stderr, "config-of-another-search", "sampler.kind: tpe there, gp now")
    (record,) = [
        json.loads(line)
        for line in (elsewhere / "results" / "j" / "decisions.jsonl").read_text().splitlines()
    ]
    assert record["decision"] == "adopt"
    best = yaml.safe_load((elsewhere / "results" / "j" / "best.yaml").read_text())
    assert best["optimizer"]["lr"] == record["value"]["optimizer.lr"]
    assert best["seed"] == 1  # the first of the fresh seeds
    shown = search("table", "j", cwd=elsewhere)
    assert f"trial {record['trial']} is adopted" in shown.stdout
    assert search("status", "j", cwd=elsewhere).stdout.startswith("j: done, ")


def test_trials_of_a_sweep_that_fit_the_space_are_history_and_the_winner_trains_again(smoke):
    words = [
        "joint",
        "from=smoke",
        "space=[lr,dropout]",
        "sampler=tpe",
        "n_trials=7",
        "name=after",
        *INLINE,
    ]
    words += ["protocol.confirm=1", "protocol.leaders=1", "pruner=none"]
    done = search(*words, cwd=smoke)
    assert done.returncode == 0, done.stdout + done.stderr
    config = yaml.safe_load((smoke / "results" / "after" / "config.yaml").read_text())
    learned = len(trials(smoke / "results" / "smoke"))
    assert (
        f"{learned} of {learned} trials of smoke fit the space and are its history" in done.stdout
    )
    assert config["trainer"]["epochs"] == 3
    table = trials(smoke / "results" / "after")
    points = table[table.stage == "joint"][["optimizer.lr", "model.dropout"]]
    assert len(points.drop_duplicates()) == 7
    other = search(
        *words[:2],
        *INLINE,
        "space=[lr,dropout]",
        "optimizer=adam",
        "name=none",
        "n_trials=1",
        "protocol.confirm=0",
        cwd=smoke,
    )
    assert "0 of 4 trials of smoke fit the space" in other.stdout
    again = search("train", "results/after/best.yaml", cwd=smoke)
    assert again.returncode == 0, again.stdout
    wrong = search(*words[:3], "split.seed=3", "name=wrong", cwd=smoke)
    assert wrong.returncode == 2
    check_told(wrong.stderr, "contract-differs", "split.seed: 0 there, 3 now")
