"""One training process that dies, hangs or misbehaves costs its trial a row with the reason, and nothing else."""

import os
import re
import shutil
import time

import pytest
from kit import MARK, TINY, marked, search, trials
from refusals import check_told

from search.execution.connections import WorkerExited
from search.execution.worker_pool import KILLED, FailedStarts

NAUGHTY = [
    "own_trainer",
    "trainer._target_=toys.naughty",
    "seeds=1",
    "placement.slots=2",
    "placement.max_retries=1",
    "trainer.epoch_timeout=2",
    "trainer.max_log_mb=1",
    "protocol.extend=0",
    "protocol.refine=0",
    "rehearse=false",
    "report=off",
]


def _habits(told, folder, *words, **extra):
    """The rows of a search, by the habit of each trial: a calm one, and those of which `told`."""
    knob = f"knob.model.habit=choice(calm,{','.join(told)})"
    words = (*NAUGHTY, "optimizer.lr=0.01", "+model.habit=calm", knob, *words)
    done = search(*words, cwd=folder, **extra)
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(folder / "results" / "own_trainer").set_index("model.habit")
    assert table.loc["calm", ["state", "value"]].tolist() == ["complete", 0.53]
    for habit, (state, reason) in told.items():
        assert table.loc[habit, "state"] == state, habit
        assert table.loc[habit, "reason"].startswith(reason), habit
    return table


def test_a_trial_that_dies_or_leaves_a_child_costs_its_own_row_only(tmp_path):
    told = {
        "segfault": ("lost", "its worker was killed by SIGSEGV; log: "),
        "kill": ("lost", "its worker was killed by SIGKILL (out of memory?); log: "),
        "exit": (
            "lost",
            "its worker ended with exit status 0 in the middle of the trial, as by sys.exit before the last epoch; log: ",
        ),
        "hang": ("lost", "hung: no epoch for trainer.epoch_timeout=2 s; log: "),
        "flood": ("failed", "printed more than trainer.max_log_mb=1 MB; log: "),
        "raise": ("failed", "RuntimeError: the flux is broken (toys.py:"),
        "memory": ("infeasible", "out of memory, alone on cpu: MemoryError: no room (toys.py:"),
        "child": ("complete", "left behind and stopped:"),
    }
    table = _habits(told, tmp_path, **{MARK: "left"})
    assert not marked("left")
    assert "sleep 300" in table.loc["child", "reason"]
    for habit in ("segfault", "kill", "exit", "hang", "flood"):
        trial, reason = table.loc[habit, ["trial", "reason"]]
        assert reason.endswith(f"; log: logs/{trial}.log")
    logs = tmp_path / "results" / "own_trainer" / "logs"
    assert (logs / f"{table.loc['flood', 'trial']}.log").stat().st_size <= 2**20


def test_trials_that_all_fail_alike_end_the_search_early(tmp_path):
    done = search("own_trainer", "trainer._target_=toys.broken", cwd=tmp_path)
    assert done.returncode == 1
    check_told(done.stderr, "first-trials-failed", "3", "RuntimeError: no luck (toys.py:", "name=")
    assert "breakpoint() in it stops there, with placement=inline rehearse=false" in done.stderr
    assert len(trials(tmp_path / "results" / "own_trainer").query("state == 'failed'")) >= 3


def test_an_index_beyond_a_trainers_rows_asks_for_their_number(tmp_path):
    done = search("own_trainer", "trainer._target_=toys.few_rows", "data.rows=1797", cwd=tmp_path)
    assert done.returncode == 1
    check_told(done.stderr, "first-trials-failed", "IndexError", "data.rows=1797")


def test_a_training_that_told_nothing_to_its_end_is_not_run_three_times(tmp_path):
    """Neither a program that prints no record, nor a function that reports none."""
    (tmp_path / "program.py").write_text("print('epoch 1: accuracy 0.5')\nprint('epoch 2: 0.6')\n")
    command = "trainer.command=['{python}',program.py,'{seed}']"
    for words, reason in (
        (["own_command", command], "CommandSilent: "),
        (["own_trainer", "trainer._target_=toys.plain"], "NothingReported: the trainer must be"),
    ):
        done = search(*words, "placement.slots=1", "name=silent", cwd=tmp_path)
        assert done.returncode == 1
        check_told(done.stderr, "no-trial-tells-more", reason)
        assert "(command.py:" not in done.stderr, "a line of ours is none of the user's mistakes"
        table = trials(tmp_path / "results" / "silent")
        assert list(table.state[:2]) == ["failed", "queued"]
        shutil.rmtree(tmp_path / "results")


def _search_whose_program_takes(seed, folder):
    """A search of three seeds, whose program fails unless its seed is as said."""
    (folder / "program.py").write_text(
        f'import sys\nassert sys.argv[1] {seed}\nprint(\'{{"epoch": 1, "accuracy": 0.5}}\')\n'
    )
    words = [
        "trainer.command=['{python}',program.py,'{seed}']",
        "metric.name=accuracy",
        "seeds=3",
        "space.optimizer.lr.points=3",
    ]
    return search("own_command", *words, "placement.slots=1", cwd=folder)


def test_other_seeds_that_all_fail_alike_end_the_search_early(tmp_path):
    done = _search_whose_program_takes("== '0'", tmp_path)
    assert done.returncode == 1
    check_told(done.stderr, "other-seeds-failed", " 0 ", "5", "CommandFailed:", "seeds=1")
    table = trials(tmp_path / "results" / "own_command")
    assert set(table[table.seed == 0].state) == {"complete"}
    failed = table.query("state == 'failed'")
    assert failed.seed.value_counts().to_dict() == {1: 4, 2: 1}  # one seed alone proves nothing


def test_one_seed_that_fails_beside_others_that_train_ends_no_search(tmp_path):
    done = _search_whose_program_takes("!= '1'", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    states = trials(tmp_path / "results" / "own_command").groupby("seed").state.unique()
    assert states[1].tolist() == ["failed"]
    assert states[2].tolist() == ["complete"]


def test_inline_a_misbehaving_trial_costs_its_own_row_only(tmp_path):
    told = {
        "leave": (
            "lost",
            "its worker ended with exit status 0 in the middle of the trial, as by sys.exit before the last epoch",
        ),
        "slow": ("failed", "took longer than trainer.timeout=0.5 s"),
    }
    table = _habits(told, tmp_path, "placement=inline", "trainer.timeout=0.5")
    assert not table.reason.str.contains("log: ").any(), "inline there is none"


def test_workers_that_end_before_they_ask_for_work_end_the_search(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'search.execution.worker.process' in sys.orig_argv:\n"
        "    print('nobody home', flush=True)\n"
        "    os._exit(3)\n"
    )
    path = f"{tmp_path}:{os.environ['PYTHONPATH']}"
    done = search(*TINY, "placement.slots=1", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 1
    check_told(done.stderr, "workers-end-before-work", "3", "nobody home", "logs/worker-0.log")
    assert (
        "nobody home"
        in (tmp_path / "results" / "own_trainer" / "logs" / "worker-0.log").read_text()
    )


def test_workers_that_somebody_kills_before_they_ask_for_work_end_no_search(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, tempfile\n"
        "if 'search.execution.worker.process' in sys.orig_argv and len(os.listdir('killed')) < 5:\n"
        "    tempfile.mkstemp(dir='killed')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "killed").mkdir()
    path = f"{tmp_path}:{os.environ['PYTHONPATH']}"
    done = search(*TINY, "placement.slots=1", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "killed").iterdir())) == 5
    assert set(trials(tmp_path / "results" / "own_trainer").state) <= {"complete", "infeasible"}


def test_of_an_error_of_several_lines_the_first_is_told_where_no_worker_starts():
    lines = (
        "Traceback (most recent call last):\n  File x\nImportError: no numpy here:\n  go\naway.\n"
    )
    told = WorkerExited(worker=None, status=1, output=lines.encode()).last_words
    assert told == "ImportError: no numpy here:"
    said = WorkerExited(worker=None, status=1, output=b"one\nnobody home\n").last_words
    assert said == "nobody home"


def test_a_worker_that_a_signal_without_a_name_has_killed_is_told_by_its_number():
    ends = [WorkerExited(worker=None, status=-number, output=b"").reason for number in (35, 15)]
    assert ends == [f"its worker was killed by {name}" for name in ("signal 35", "SIGTERM")]


def test_a_minute_of_kills_ends_a_search_and_so_do_three_starts_that_fail_by_themselves():
    killed, failed = (WorkerExited(worker=None, status=status, output=b"") for status in (-9, 1))
    starts = FailedStarts(since=time.monotonic())
    assert not any(starts.count(killed) for _ in range(50))
    assert [starts.count(failed) for _ in range(3)] == [False, False, True]
    minute = FailedStarts(since=time.monotonic() - KILLED - 1)
    assert [minute.count(killed) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["model._target_=nowhere.Model"], "dry-run-failed"),
        (
            ["data=csv", "data.path=nowhere.csv", "data.task=classification", "data.target=y"],
            "data-cannot-be-read",
        ),
    ],
)
def test_a_start_that_is_refused_leaves_no_worker_and_no_file(words, code, tmp_path):
    done = search("lr_sweep", *words, "placement.slots=2", cwd=tmp_path, **{MARK: str(tmp_path)})
    assert done.returncode == 2
    check_told(done.stderr, code, "nowhere")
    assert list(tmp_path.iterdir()) == []
    assert marked(str(tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("habit", "decided"), [("raise", False), ("exit", False), ("memory", True)]
)
def test_nothing_is_decided_against_a_baseline_that_is_missing(habit, decided, tmp_path):
    words = ["optimizer.lr=0.01", "placement.max_retries=0", f"+model.habit={habit}"]
    done = search(*NAUGHTY, *words, cwd=tmp_path)
    table = trials(tmp_path / "results" / "own_trainer")
    assert table.state[0] == ("infeasible" if decided else table.state[0])
    assert done.returncode == (0 if decided else 1)
    assert (tmp_path / "results" / "own_trainer" / "best.yaml").exists() == decided
    if not decided:
        assert re.search(
            r"no decision: the baseline, trial 0, has no result to compare with "
            r"\((failed|lost): .*\); mend the cause, then give the command a new name=",
            done.stderr,
        )


COLLIDING = """
import json, os, pathlib, sys, time

run, met = pathlib.Path("run"), pathlib.Path("met")
while sys.argv[1] == "2" and not (run.exists() or met.exists()):  # the baseline comes first
    time.sleep(0.02)
try:
    run.mkdir()  # as a folder that is named by the second
except FileExistsError:
    met.touch()
    raise
while not met.exists():  # the first trial goes on once a second one has met it
    time.sleep(0.02)
print(json.dumps({"epoch": 1, "accuracy": 0.5}), flush=True)
if not os.path.exists("stays"):
    run.rmdir()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stays", "raised"),
    [
        (False, "raise"),
        (True, "raise"),
        (False, "raise EOFError from None"),  # of torch.load, from a file that is half written
    ],
)
def test_a_trial_whose_name_another_has_taken_is_tried_again_alone(stays, raised, tmp_path):
    (tmp_path / "collide.py").write_text(COLLIDING.replace("raise", raised))
    if stays:
        (tmp_path / "stays").touch()
    words = [
        "own_command",
        "trainer.command=['{python}',collide.py,'{turned}']",
        "trainer.epochs=1",
    ]
    words += ["data.rows=100", "knob.turned=choice(1,2)", "seeds=1", "placement.slots=2"]
    done = search(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = "FileExistsError: [Errno 17] File exists: 'run'" if raised == "raise" else "EOFError"
    assert said in done.stdout + done.stderr
    assert "so it is tried again alone on cpu" in done.stdout + done.stderr
    table = trials(tmp_path / "results" / "own_command")
    assert sorted(table.state) == (["complete", "failed"] if stays else ["complete"] * 2)
    if stays:
        reason = table.set_index("state").loc["failed", "reason"]
        assert "what a trial writes belongs into checkpoint.files" in reason
