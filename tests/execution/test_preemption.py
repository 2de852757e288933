"""Workers that must leave: told by SIGTERM, or because their conductor is gone."""

import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit import TINY, running, search, steady, trials
from test_drill import _workers
from test_lanes_run import _underway

from search.execution.listener import Listener, connect
from search.execution.running_trial import DEPARTURES

WORDS = [
    *[word for word in TINY if not word.startswith(("trainer", "placement.max"))],
    "trainer._target_=toys.patient",
    "trainer.checkpoint_every=1000",  # only the notice makes one
    "placement.max_retries=0",
]


def test_a_worker_that_is_told_to_leave_hands_its_trial_back_with_its_checkpoint(tmp_path):
    """Five notices, and no trial is charged with one or repeats more than the epoch at hand."""
    dice, told = random.Random(1), []
    logs = tmp_path / "results" / "storm" / "logs"
    with running(*WORDS, "name=storm", cwd=tmp_path, TOY_PAUSE="0.06") as conductor:
        while len(told) < 5 and conductor.poll() is None:
            fresh = {pid for _, pid in _attempts(logs)} - set(told)
            victims = [worker for worker in _workers(conductor) if worker.pid in fresh]
            if victims:
                told.append((victim := dice.choice(victims)).pid)
                victim.send_signal(signal.SIGTERM)
            time.sleep(dice.uniform(0.1, 0.4))
        output, _ = conductor.communicate(timeout=60)
    assert (conductor.returncode, len(told)) == (0, 5), output
    assert "trying again" not in output
    calm = search(*WORDS, "name=calm", cwd=tmp_path, TOY_PAUSE="0")
    assert calm.returncode == 0
    assert steady(trials(tmp_path / "results" / "storm")).equals(steady(trials(tmp_path / "results" / "calm")))  # fmt: skip
    begun: dict[int, list[int]] = {}
    for trial, epoch in [(log, epoch) for (log, epoch), _ in _attempts(logs)]:
        begun.setdefault(trial, []).append(epoch)
    assert sum(map(len, begun.values())) > len(begun)  # some were resumed
    assert all(epochs == sorted(set(epochs)) for epochs in begun.values())


def _attempts(logs: Path) -> list[tuple[tuple[int, int], int]]:
    """By trial, the epochs at which its attempts began, each with the worker's process."""
    return [
        ((int(path.stem), int(line.split()[2])), int(line.split()[-1]))
        for path in logs.glob("[0-9]*.log")
        for line in path.read_text().splitlines()
        if line.startswith("begins at")
    ]


def test_a_trainer_that_tells_its_own_process_to_leave_is_a_failure_in_the_end():
    trial = _underway(0)
    answers = [trial.record_departure() for _ in range(DEPARTURES + 1)]
    assert answers == [True] * DEPARTURES + [False]


FAR_WORKER = """
import socket, sys, time
from search.execution.listener import connect
from search.execution.worker import conductor_watch
conductor_watch.FAREWELL = 0.1
connection = connect(("127.0.0.1", int(sys.argv[1])), token=bytes.fromhex(sys.argv[2]), patience=float(sys.argv[3]))
conductor_watch.end_with(connection)
print("trains", flush=True)
time.sleep(100)  # a long epoch
"""


@pytest.fixture
def far_worker():
    """A worker in a long epoch, and the conductor's end of its connection."""
    listener, links = Listener("127.0.0.1"), queue.SimpleQueue()
    token = listener.expect(links.put)
    words = [sys.executable, "-c", FAR_WORKER, str(listener.address[1]), token.hex(), "4"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "trains\n"
        yield process, links.get(timeout=10)
        process.kill()
    listener.close()


def test_a_far_worker_whose_conductor_has_died_ends_in_the_middle_of_an_epoch(far_worker):
    process, link = far_worker
    link.close()
    assert process.wait(10) == 1


SILENCE = """
import queue, subprocess, sys, time
from search.execution.listener import Listener
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
listener, links = Listener("127.0.0.1"), queue.SimpleQueue()
token = listener.expect(links.put)
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(listener.address[1]), token.hex(), "4"], stdout=subprocess.PIPE)
worker.stdout.readline()
link = links.get(timeout=10)
subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
began = time.monotonic()
print(worker.wait(30), time.monotonic() - began)
"""


@pytest.mark.skipif(
    os.getuid() != 0 or not (shutil.which("unshare") and shutil.which("ip")),
    reason="needs root, unshare and ip, to cut a network",
)
def test_a_far_worker_whose_conductors_machine_has_vanished_ends_after_its_patience():
    words = ["unshare", "-n", sys.executable, "-c", SILENCE, FAR_WORKER]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    status, seconds = done.stdout.split()
    assert status == "1"
    assert 2 < float(seconds) < 12  # 4 s, and what the system's timers add


def test_both_ends_of_a_connection_ask_whether_the_other_machine_is_there():
    listener, links = Listener("127.0.0.1", patience=40), queue.SimpleQueue()
    token = listener.expect(links.put)
    with connect(listener.address, token=token, patience=8) as worker:
        conductor = links.get(timeout=5)
        for end, seconds in ((worker, 8), (conductor.socket, 40)):
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPCNT, socket.TCP_KEEPINTVL)
            idle, count, interval = (end.getsockopt(socket.IPPROTO_TCP, name) for name in names)
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert idle + count * interval == seconds
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == seconds * 1000
        conductor.close()
    listener.close()
