"""What hangs: a module while it is imported, a worker that begins when its search ends."""

import signal
import threading

import pandas as pd
import pytest
from kit import MARK, marked, running, search, told_of, wait_for
from refusals import check_told

from search.execution.placement.threads import ThreadedPlacement
from search.execution.slots import Slot

HANGS = """
import subprocess, time
subprocess.Popen(["sleep", "300"], start_new_session=True)
open("hanging.txt", "w").close()
time.sleep(300)
"""
WORDS = ["own_trainer", "trainer._target_=mine.train", "placement.slots=1", "report=off"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "placement"), [("run", "local"), ("run", "inline"), ("preflight", "local")]
)
def test_a_dry_run_that_hangs_ends_after_its_deadline_and_leaves_nothing(verb, placement, tmp_path):
    (tmp_path / "mine.py").write_text(HANGS)
    words = [verb, *WORDS, f"placement={placement}", "trainer.epoch_timeout=3"]
    mark = {MARK: str(tmp_path)}
    done = search(*words, cwd=tmp_path, **mark)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("search: trainer.epoch_timeout: ")
    assert " 3 s; " in last
    assert last.endswith(" [build-has-no-end]")
    wait_for(lambda: not marked(str(tmp_path)), what=lambda: told_of(marked(str(tmp_path))))
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "placement"), [("run", "inline"), ("preflight", "local")])
def test_a_dry_run_does_not_outlive_a_killed_search(verb, placement, tmp_path):
    (tmp_path / "mine.py").write_text(HANGS)
    mark, words = {MARK: str(tmp_path)}, [verb, *WORDS, f"placement={placement}"]
    with running(*words, cwd=tmp_path, **mark) as conductor:
        wait_for((tmp_path / "hanging.txt").exists, what="the module to be imported")
        assert marked(str(tmp_path))
        conductor.send_signal(signal.SIGKILL)
        wait_for(lambda: not marked(str(tmp_path)), what=lambda: told_of(marked(str(tmp_path))))


@pytest.mark.slow
def test_a_trial_whose_module_hangs_is_lost_after_its_retries_and_the_user_hears_of_it(tmp_path):
    (tmp_path / "mine.py").write_text(HANGS)
    words = ["rehearse=false", "trainer.epoch_timeout=1", "placement.max_retries=1", "seeds=1"]
    words += ["placement.slots=3"]
    mark = {MARK: str(tmp_path)}
    done = search(*WORDS, *words, cwd=tmp_path, **mark)
    assert done.returncode == 1
    assert "trial 0: hung: no epoch for trainer.epoch_timeout=1 s; trying again" in done.stdout
    check_told(done.stderr, "first-trials-failed", "trainer.epoch_timeout=1")
    wait_for(lambda: not marked(str(tmp_path)), what=lambda: told_of(marked(str(tmp_path))))


STAYS = """
import threading

def train(config, data, device, checkpoint):
    for epoch in range(1, 3):
        yield {"epoch": epoch, "accuracy": epoch / 10}
    threading.Event().wait()
"""


@pytest.mark.slow
def test_a_generator_that_hangs_after_its_last_epoch_keeps_all_its_epochs(tmp_path):
    (tmp_path / "mine.py").write_text(STAYS)
    words = ["rehearse=false", "trainer.epochs=2", "trainer.epoch_timeout=1", "seeds=1"]
    words += ["space.optimizer.lr.points=2", "name=stays"]
    done = search(*WORDS, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trying again" not in done.stdout
    rows = pd.read_csv(tmp_path / "results" / "stays" / "trials.csv")
    assert set(rows["state"]) == {"complete"}
    assert set(rows["epochs"]) == {2}
    assert set(rows["value"]) == {0.2}
    told = rows["reason"].str.startswith("did not end after its last epoch and was stopped (hung: ")
    assert told.all()


class Late(ThreadedPlacement):
    """A worker that begins only while the placement closes, after it has been killed once."""

    def __init__(self, slots):
        super().__init__(slots, post=lambda event: None)
        self.kills, self.is_gone = 0, threading.Event()

    def kill(self, slot):
        self.kills += 1
        if self.kills > 1:  # by then it has begun
            self.is_gone.set()

    def _serve(self, slot):
        self.is_gone.wait()


def test_a_worker_that_begins_while_its_search_ends_is_killed_too():
    slot = Slot(number=0, gpu=None, threads=1)
    placement = Late([slot])
    placement.start(slot)
    closing = threading.Thread(target=placement.close, kwargs={"grace": 0.0}, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    assert placement.kills == 2
