"""The dry run before a search: in a copy of a worker that has started early, and what becomes of it if that dies."""

import pytest
from kit import MARK, marked, search, trials
from refusals import check_told

WORKER = "search.execution.worker.process"
WHOSE = """
import os
from toys import steady as train

with open("seen.txt", "a") as file:
    file.write(f"{os.getpid()} {os.getppid()}\\n")
"""
SEEN = """
import os
import psutil
from toys import steady as train

parent = " ".join(psutil.Process(os.getppid()).cmdline())
with open("seen.txt", "a") as file:
    file.write(("copy of a worker" if "search.execution.worker.process" in parent else "worker") + "\\n")
"""
KILLING = """
import os
import psutil
from toys import steady as train

parent = psutil.Process(os.getppid())
if "search.execution.worker.process" in parent.cmdline():
    open("killed.txt", "w").close()
    parent.kill()
"""
HABITS = """
import multiprocessing
import subprocess
from toys import steady as train

subprocess.Popen(["sleep", "300"])
if multiprocessing.parent_process() is None and multiprocessing.current_process().name == "MainProcess":
    ready = True
ready
"""
COLLECTS_ITSELF = """
import gc
from toys import steady

gc.disable()

def train(config, data, device, checkpoint):
    with open("seen.txt", "a") as file:
        file.write(f"{gc.isenabled()} {gc.get_freeze_count()}\\n")
    yield from steady(config, data, device, checkpoint)
"""
STAYING = """
import os
import subprocess
subprocess.Popen(["sleep", "300"])
os._exit(3)
"""
WORDS = [
    "own_trainer",
    "trainer._target_=mine.train",
    "space.optimizer.lr.points=2",
    "seeds=1",
    "protocol.refine=0",
]


def _run(text, folder, *words, **extra):
    (folder / "mine.py").write_text(text)
    return search(
        *WORDS,
        "protocol.extend=0",
        *words,
        cwd=folder,
        **extra,
    )


def test_a_copy_of_a_worker_rehearses_and_the_worker_imports_what_is_the_users_anew(tmp_path):
    done = _run(SEEN, tmp_path, "placement.slots=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "seen.txt").read_text().splitlines() == ["copy of a worker", "worker"]


def test_inline_a_process_of_its_own_rehearses(tmp_path):
    done = _run(SEEN, tmp_path, "placement=inline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "seen.txt").read_text().splitlines() == ["worker", "worker"]


@pytest.mark.parametrize("verb", ["preflight", "lr_range"])
def test_what_is_looked_at_apart_is_rehearsed_by_a_copy_of_the_process_that_is_then_asked(
    verb, tmp_path
):
    (tmp_path / "mine.py").write_text(WHOSE)
    search(verb, "own_trainer", "trainer._target_=mine.train", cwd=tmp_path)
    lines = (tmp_path / "seen.txt").read_text().splitlines()
    (copy, its_parent), (asked, _) = (map(int, line.split()) for line in lines)
    assert its_parent == asked != copy


def test_a_probe_that_dies_with_its_dry_run_is_told_of_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "mine.py").write_text(KILLING.replace(WORKER, "search.diagnostics.probe_process"))
    words = ["preflight", "own_trainer", "trainer._target_=mine.train"]
    done = search(*words, cwd=tmp_path, **{MARK: str(tmp_path)})
    assert (tmp_path / "killed.txt").exists()
    check_told(done.stderr, "training-ends-when-looked-at", "-9")
    assert done.returncode == 1
    assert marked(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import os\nos._exit(3)", "the trainer cannot be built: it ended at once"),
        ("import os\nprint('no licence', flush=True)\nos._exit(3)", "no licence"),
        (STAYING, "the trainer cannot be built: it ended at once"),
        ("import os\nos.abort()", "the trainer cannot be built: it ended at once"),
    ],
)
def test_the_last_words_of_a_dry_run_that_dies_are_told_and_nothing_is_left(text, told, tmp_path):
    done = _run(text, tmp_path, "placement.slots=2", **{MARK: str(tmp_path)})
    assert done.returncode == 2
    assert marked(str(tmp_path)) == []
    assert done.stderr.strip() == f"search: {told} [dry-run-failed]"
    assert not (tmp_path / "results").exists()


def test_a_worker_that_dies_with_its_dry_run_costs_the_search_nothing(tmp_path):
    done = _run(KILLING, tmp_path, "placement.slots=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "killed.txt").exists()
    assert not {"failed", "lost"} & set(trials(tmp_path / "results" / "own_trainer").state)


def test_a_copy_is_a_main_process_as_the_worker_is_and_nothing_that_it_started_is_left_to_a_trial(
    tmp_path,
):
    done = _run(HABITS, tmp_path, "placement.slots=1", **{MARK: str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(tmp_path / "results" / "own_trainer")
    assert table.reason[0].count("sleep") == 1  # the one that the worker's own import has started
    assert not table.reason[1:].astype(str).str.contains("sleep").any()
    assert marked(str(tmp_path)) == []


def test_a_user_who_switches_the_collector_off_is_heard_and_nothing_is_frozen_at_each_trial(
    tmp_path,
):
    done = _run(COLLECTS_ITSELF, tmp_path, "placement.slots=1", "space.optimizer.lr.points=4")
    assert done.returncode == 0, done.stdout + done.stderr
    enabled, frozen = zip(
        *(line.split() for line in (tmp_path / "seen.txt").read_text().splitlines()), strict=True
    )
    assert set(enabled) == {"False"}
    counts = [int(count) for count in frozen[1:]]
    assert counts == sorted(counts, reverse=True)  # what was frozen once may end, and no more comes
