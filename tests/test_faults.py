"""One training process that dies, hangs or misbehaves costs its trial a row with the reason, and nothing else."""

import pytest
from kit import MARK, marked, search, trials

NAUGHTY = [
    "own_trainer",
    "trainer._target_=toys.naughty",
    "seeds=1",
    "placement.slots=2",
    "placement.max_retries=1",
    "trainer.epoch_timeout=2",
    "trainer.max_log_mb=1",
]


@pytest.mark.parametrize(
    ("habit", "state", "reason"),
    [
        ("segfault", "lost", "its worker was killed by SIGSEGV; log: logs/3.log"),
        ("kill", "lost", "its worker was killed by SIGKILL (out of memory?); log: logs/3.log"),
        ("exit", "lost", "its worker ended with exit status 0 in the middle of the trial; log: logs/3.log"),
        ("hang", "lost", "hung: no epoch for trainer.epoch_timeout=2 s; log: logs/3.log"),
        ("flood", "failed", "printed more than trainer.max_log_mb=1 MB; log: logs/3.log"),
        ("raise", "failed", "RuntimeError: the flux is broken (toys.py:"),
        ("memory", "infeasible", "MemoryError: no room (toys.py:"),
    ],
)
def test_a_dying_trial_costs_its_own_row_only(habit, state, reason, tmp_path):
    done = search(*NAUGHTY, f"+model.habit={habit}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(tmp_path / "results" / "own_trainer").set_index("optimizer.lr")
    assert table.loc[0.01, "state"] == state
    assert table.loc[0.01, "reason"].startswith(reason)
    others = table.drop(0.01)
    assert list(others.state) == ["complete"] * 5
    assert list(others.value) == [0.53] * 5


def test_a_child_left_behind_is_stopped_and_named(tmp_path):
    done = search(*NAUGHTY, "+model.habit=child", cwd=tmp_path, **{MARK: "left"})
    assert done.returncode == 0, done.stdout + done.stderr
    row = trials(tmp_path / "results" / "own_trainer").set_index("optimizer.lr").loc[0.01]
    assert row["state"] == "complete"
    assert "left 1 processes behind, stopped:" in row["reason"]
    assert "sleep 300" in row["reason"]
    assert not marked("left")


def test_a_flooded_log_is_cut_at_its_limit(tmp_path):
    search(*NAUGHTY, "+model.habit=flood", cwd=tmp_path)
    assert (tmp_path / "results" / "own_trainer" / "logs" / "3.log").stat().st_size <= 2**20


def test_trials_that_all_fail_alike_end_the_search_early(tmp_path):
    done = search("own_trainer", "trainer._target_=toys.nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert (
        "the first 3 trials all failed alike, so the search stops: ImportError: trainer._target_: 'toys.nowhere'" in done.stderr
    )
    assert "cannot be imported" in done.stderr
    assert len(trials(tmp_path / "results" / "own_trainer").query("state == 'failed'")) >= 3
