"""What a worker has started ends with it."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from kit import wait_for

from search.execution import process_guard as guard
from search.execution.placement import SlotFailed, WorkerJoined, WorkerLeft, local, threads
from search.execution.slots import Slot

SCRIPT = """
import os, subprocess, sys, time
from search.execution import process_guard as guard
guard.start_guard(int(sys.argv[1]))
guard.die_with_starter()
child = subprocess.Popen(["sleep", "300"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(300)
"""


@pytest.fixture
def guarded():
    """A process with a guard and a child in a session of its own; the fixture holds its lifeline."""
    lifeline, held = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(lifeline)],
        pass_fds=[lifeline],
        env={**os.environ, guard.MARK: f"test{os.getpid()}{time.monotonic_ns()}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(lifeline)
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline()))
    yield process, child, held
    process.kill()
    process.communicate()


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_the_guard_kills_what_is_left_when_the_worker_is_killed(guarded):
    process, child, held = guarded
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: _gone(child), seconds=5, what="the child to end")
    assert _gone(child)
    os.close(held)


def test_the_guard_kills_worker_and_children_when_the_lifeline_ends(guarded):
    process, child, held = guarded
    assert child.is_running()
    os.close(held)
    assert process.wait(timeout=5) == -signal.SIGKILL
    wait_for(lambda: _gone(child), seconds=5, what="the child to end")


@pytest.mark.slow
def test_a_worker_that_nobody_can_end_fails_its_slot_and_holds_up_no_search(monkeypatch, capsys):
    monkeypatch.setattr(os, "killpg", lambda *_: None)  # as where a driver holds the process
    for module in (local, threads):
        monkeypatch.setattr(module, "STUCK", 0.1)
    events, slot = queue.SimpleQueue(), Slot(number=0, gpu=None, threads=1)
    placement = local.LocalPlacement([slot], trainer="mine.train", post=events.put)
    placement.start(slot)
    joined = events.get(timeout=60)
    assert isinstance(joined, WorkerJoined)
    placement.kill(slot)
    assert isinstance(events.get(timeout=60), SlotFailed)
    placement.close(grace=0.0)
    assert "the worker of slot 0 is left behind" in capsys.readouterr().err
    monkeypatch.undo()
    placement.kill(slot)
    joined.connection.close()
    assert isinstance(events.get(timeout=60), WorkerLeft)


def test_a_kill_that_works_late_since_the_machine_stood_still_fails_no_slot(monkeypatch):
    kill, late = os.killpg, []

    def after_a_while(*words):
        late.append(threading.Timer(0.2, kill, words))
        late[-1].start()

    monkeypatch.setattr(os, "killpg", after_a_while)
    monkeypatch.setattr(local, "STUCK", 0.0)
    events, slot = queue.SimpleQueue(), Slot(number=0, gpu=None, threads=1)
    placement = local.LocalPlacement([slot], trainer="mine.train", post=events.put)
    placement.start(slot)
    joined = events.get(timeout=60)
    placement.kill(slot)
    assert isinstance(events.get(timeout=60), WorkerLeft)
    joined.connection.close()
    for timer in late:
        timer.join()
    placement.close(grace=0.0)


def test_only_what_bears_the_mark_is_killed():
    env = {**os.environ, guard.MARK: "mine"}
    mine, other = (
        subprocess.Popen(["sleep", "60"], env=env),
        subprocess.Popen(["sleep", "60"], env={**env, guard.MARK: "other"}),
    )
    assert guard.kill_marked("mine") == [mine.pid]
    assert mine.wait(5) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()


CHILDREN = """
import subprocess, sys
from search.execution import process_guard as guard
print(guard.kill_children())
tracker = "import time; time.sleep(60) # in a long folder: multiprocessing.resource_tracker"
helper = subprocess.Popen([sys.executable, "-c", tracker])
subprocess.Popen(["sleep", "60"])
print(guard.kill_children())
helper.kill()
"""


def test_without_children_there_is_nothing_to_kill_and_with_one_it_is_named_but_not_pythons_own():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILDREN], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == "[]"
    assert "(sleep 60)" in second
    assert second.count("(") == 1


MANY = """
import subprocess
from search.execution import process_guard as guard
for _ in range(5):
    subprocess.Popen(["/bin/sleep", "60"])
print(", ".join(guard.kill_children()))
"""


def test_of_many_processes_left_behind_three_are_named_without_their_folders():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MANY], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("(sleep 60)") == 3
    assert done.stdout.endswith(", and 2 more\n")


COMPILING = """
from torch._inductor import config
from torch._inductor.async_compile import AsyncCompile
from search.execution import process_guard as guard
config.compile_threads = 2
pool = AsyncCompile.process_pool()
print(pool.submit(abs, -3).result(), guard.kill_children(), pool.submit(abs, -4).result(timeout=60))
"""


def test_torchs_processes_that_compile_answer_the_next_trial_too():
    """Without them a compilation waits for ever."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILING],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "3 [] 4\n"
