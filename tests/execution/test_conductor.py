"""The conductor beside others of its kind, under signals, with pretended GPUs, and what it leaves for stock tools."""

import os
import re
import shutil
import signal
import sys
import time

import optuna
import pytest
from kit import MARK, TINY, marked, running, script, search, steady, trials, undisturbed, wait_for
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from refusals import check_told

from search.execution.placement.bookings import Bookings

SLOW = {"TOY_PAUSE": "0.1"}


def _journal(cwd, name="own_trainer"):
    return cwd / "results" / name / "journal.log"


def _load(path, name="own_trainer"):
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


def _has_started(cwd, trials=1):
    path = _journal(cwd)
    return path.exists() and path.read_text().count('"op_code":7') >= trials


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The folder of `TINY`, undisturbed."""
    return undisturbed(*TINY, cwd=tmp_path_factory.mktemp("calm"), TOY_PAUSE="0")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_every_record_is_on_the_disk_at_the_end_by_at_most_one_sync_per_trial_its_curves_first(
    tmp_path,
):
    code = (
        "import os, sys\n"
        "whole, sizes, curves, behind = os.fsync, [], [0], []\n"
        "def fsync(file):\n"
        "    whole(file)\n"
        "    path = os.readlink(f'/proc/self/fd/{file}')\n"
        "    if path.endswith('curves.jsonl'):\n"
        "        curves.append(os.fstat(file).st_size)\n"
        "    if path.endswith('journal.log'):\n"
        "        sizes.append(os.fstat(file).st_size)\n"
        "        behind.append(os.stat('results/own_trainer/curves.jsonl').st_size - curves[-1])\n"
        "os.fsync = fsync\n"
        "from search.storage import journal\n"
        "journal.JournalFile.close = lambda self: None\n"  # it would sync once more
        "from search.__main__ import main\n"
        f"code = main({[*TINY, 'seeds=2']!r})\n"
        "size = os.stat('results/own_trainer/journal.log').st_size\n"
        "print(code, len(sizes), sizes[-1], size, max(behind))\n"
    )
    done = script("-c", code, cwd=tmp_path, TOY_PAUSE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    code, syncs, synced, size, behind = map(int, done.stdout.splitlines()[-1].split())
    assert code == 0
    assert 0 < syncs <= len(trials(tmp_path / "results" / "own_trainer"))
    assert (synced, behind) == (size, 0)


def test_beside_a_running_search_others_only_read_it_and_a_second_conductor_is_refused(tmp_path):
    with running(*TINY, cwd=tmp_path, TOY_PAUSE="0.3") as first:
        wait_for(lambda: _has_started(tmp_path), what="the first epoch")
        before = _journal(tmp_path).stat().st_size
        second = search(*TINY, cwd=tmp_path)
        assert second.returncode == 2
        check_told(second.stderr, "search-has-conductor", f"process {first.pid} ")
        assert _journal(tmp_path).stat().st_size >= before
        told = search("status", "own_trainer", cwd=tmp_path)
        assert told.stdout.startswith("own_trainer: running, ")
        assert re.search(r"trial \d+ running: ", told.stdout)
        assert search("table", "own_trainer", cwd=tmp_path).returncode == 0
        assert not (tmp_path / "results" / "own_trainer" / "trials.csv").exists()
        wait_for(lambda: _has_started(tmp_path, trials=30), what="thirty epochs")
        study = _load(_journal(tmp_path))
        assert first.poll() is None
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert {trial.state for trial in study.trials} & {optuna.trial.TrialState.RUNNING}
    assert study.trials[0].user_attrs["trial"] == 0
    assert study.trials[0].params["optimizer.lr"] == 3e-4
    assert study.trials[0].intermediate_values


@pytest.mark.parametrize(
    ("number", "trainer"), [(signal.SIGINT, "steady"), (signal.SIGTERM, "quiet")]
)
def test_one_signal_checkpoints_and_the_same_command_goes_on_to_the_same_rows(
    number, trainer, calm, tmp_path
):
    words = [*TINY, f"trainer._target_=toys.{trainer}"]
    if trainer != "steady":
        search(*words, "name=calm", cwd=tmp_path, TOY_PAUSE="0")
        calm = tmp_path / "results" / "calm"
    with running(*words, cwd=tmp_path, **SLOW, **{MARK: f"signal{number}"}) as conductor:
        wait_for(lambda: _has_started(tmp_path, trials=15), what="fifteen epochs")
        conductor.send_signal(number)
        output, _ = conductor.communicate(timeout=20)
    assert conductor.returncode == 130
    assert "[interrupted]\n" in output
    assert (
        "stopping at the next epoch's end, after 30 s at the latest; once more stops at once"
        in output
    )
    assert (
        "the tables are written, and the same command goes on: python -m search own_trainer"
        in output
    )
    assert not marked(f"signal{number}")
    table = trials(tmp_path / "results" / "own_trainer")
    assert "running" not in set(table.state)
    assert "queued" in set(table.state)
    checkpoints = list(
        (tmp_path / "results" / "own_trainer" / "checkpoints").rglob("last.safetensors")
    )
    assert checkpoints
    again = search(*words, cwd=tmp_path, TOY_PAUSE="0")
    assert again.returncode == 0, again.stdout + again.stderr
    assert steady(trials(calm)).equals(steady(trials(tmp_path / "results" / "own_trainer")))


def test_two_signals_end_at_once(tmp_path):
    slow = ["own_trainer", "trainer._target_=toys.steady", "placement.grace=3600"]
    with running(*slow, cwd=tmp_path, TOY_PAUSE="3600", **{MARK: "twice"}) as conductor:
        wait_for(
            lambda: (tmp_path / "results" / "own_trainer" / "logs" / "1.log").exists(),
            what="two trials to sit down",
        )
        conductor.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert conductor.poll() is None, "after one signal it waits for the epoch to end"
        conductor.send_signal(signal.SIGINT)
        conductor.communicate(timeout=60)  # an epoch, and the grace, take an hour
    assert conductor.returncode == 130
    assert not marked("twice")


def test_every_worker_sees_its_own_gpu_and_its_threads(tmp_path):
    """Pretended GPUs: an nvidia-smi of our own lists four, the search is told to use two of them with two workers each."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text('#!/bin/sh\nfor i in 0 1 2 3; do echo "GPU $i: X (UUID: GPU-$i)"; done\n')
    smi.chmod(0o755)
    path = {"PATH": f"{smi.parent}:{os.environ['PATH']}"}
    words = [
        "own_trainer",
        "trainer._target_=toys.tell",
        "placement.gpus=0,2",
        "placement.slots_per_gpu=2",
        "placement.threads=3",
        "report=off",
    ]
    shared = Bookings(tmp_path / "knobwise-bookings")
    shared.join(["GPU-1", "GPU-2"], holder="the search other (process 7)")
    done = search(*words, cwd=tmp_path, **path, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GPU 2 is also used by the search other (process 7)\n" in done.stdout
    assert done.stdout.count("is also used by") == 1
    folder = tmp_path / "results" / "own_trainer"
    told = [(folder / "logs" / f"{trial}.log").read_text().split() for trial in range(12)]
    assert {(line[1], line[3], line[7]) for line in told} == {
        ("0", "3", "cuda"),
        ("2", "3", "cuda"),
    }
    assert set(trials(folder).device) == {"cuda:0", "cuda:2"}
    workers = {line[5] for line in told}
    assert 2 <= len(workers) <= 4, "warm workers serve many trials"
    refused = search(*words, "placement.gpus=7", "name=other", cwd=tmp_path, **path)
    assert refused.returncode == 2
    check_told(refused.stderr, "gpu-not-visible", "placement.gpus", "(0, 1, 2, 3)", "7")
    assert not (tmp_path / "results" / "other").exists()


def test_more_seeds_extend_a_finished_search_and_lose_no_row(calm, tmp_path):
    shutil.copytree(calm, tmp_path / "results" / "own_trainer")
    before = trials(calm)
    done = search(*TINY, "seeds=3", cwd=tmp_path, TOY_PAUSE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials(tmp_path / "results" / "own_trainer")
    assert len(after) == 18
    assert after.iloc[:12].equals(before)
    assert set(after.iloc[12:].seed) == {2}


def test_inline_gives_the_rows_that_workers_give(calm, tmp_path):
    done = search(*TINY, "placement=inline", "name=inline", cwd=tmp_path, TOY_PAUSE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert steady(trials(calm)).equals(steady(trials(tmp_path / "results" / "inline")))


def test_inline_gives_the_bits_of_workers_whatever_threads_its_own_process_may_use(tmp_path):
    short = ["smoke", "trainer.epochs=2", "trainer.batch_size=1000", "lanes=off", "rehearse=false"]
    short += ["placement.slots=1", "space.optimizer.lr.points=2", "report=off"]
    bits, own = {}, {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    for placement, threads in (("inline", own), ("local", {})):
        words = [*short, f"placement={placement}", f"name={placement}"]
        done = search(*words, cwd=tmp_path, **threads)
        assert done.returncode == 0, done.stdout + done.stderr
        weights = tmp_path / "results" / placement / "best" / "weights.safetensors"
        bits[placement] = weights.read_bytes()
    assert bits["inline"] == bits["local"]
    again = search("train", "results/local/best.yaml", "rehearse=false", cwd=tmp_path)
    assert "starting 1 worker (cpu) …" in again.stdout
    assert again.returncode == 0, again.stdout + again.stderr
