"""Searches on a real Ray cluster of two nodes: the rows of a local search, whatever is killed."""

import importlib.util
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from kit import (
    HERE,
    MARK,
    TINY,
    environment,
    marked,
    running,
    search,
    steady,
    trials,
    wait_for,
    words_of,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="needs pip install 'knobwise[ray]'"
    ),
]
PAUSE = {"TOY_PAUSE": "0.1"}
WORKER, ACTOR = "search.execution.worker.process", "ray::NodeSlot"


class Nodes:
    """The cluster: its address, and orders to it."""

    def __init__(self, process: "subprocess.Popen[str]", *, mark: str) -> None:
        self._process, self._mark = process, mark
        self.address = self._answer()

    def order(self, word: str) -> None:
        """kill or add: returns when it is done."""
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def processes(self, word: str) -> list[psutil.Process]:
        """Of this cluster, whose command line begins with or holds a word."""
        return [each for each in marked(self._mark) if word in " ".join(words_of(each))]

    def _answer(self) -> str:
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> Iterator[Nodes]:
    """Workers get the environment of their node: so the toys' pause is the cluster's."""
    mark = uuid.uuid4().hex
    with (tmp_path_factory.mktemp("ray") / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "ray_nodes.py")],
            env=environment(**PAUSE, **{MARK: mark}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        yield Nodes(process, mark=mark)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """The same search on this machine, undisturbed."""
    cwd = tmp_path_factory.mktemp("calm")
    done = search(*TINY, cwd=cwd, TOY_PAUSE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd / "results" / "own_trainer"


def _words(nodes: Nodes) -> list[str]:
    return [
        *TINY,
        "placement=ray",
        f"placement.address={nodes.address}",
        "placement.gpus_per_trial=0",
        "name=far",
    ]


def _epochs(cwd: Path) -> int:
    curves = cwd / "results" / "far" / "curves.jsonl"
    return curves.read_bytes().count(b"\n") if curves.exists() else 0


def _same_rows(calm: Path, cwd: Path) -> None:
    far = cwd / "results" / "far"
    pd.testing.assert_frame_equal(steady(trials(calm)), steady(trials(far)), check_exact=True)
    curves = [
        pd.read_parquet(folder / "curves.parquet").drop(columns="seconds") for folder in (calm, far)
    ]
    pd.testing.assert_frame_equal(*curves, check_exact=True)


def test_a_worker_its_actor_and_its_node_may_be_killed_and_rows_are_those_of_local_workers(
    nodes, calm, tmp_path
):
    with running(*_words(nodes), cwd=tmp_path) as conductor:

        def wait_for_epochs(number: int) -> None:
            wait_for(
                lambda: conductor.poll() is not None or _epochs(tmp_path) >= number,
                seconds=120,
                what=f"{number} epochs",
            )

        wait_for_epochs(5)
        for number, name in ((15, WORKER), (30, ACTOR)):
            nodes.processes(name)[0].kill()
            wait_for_epochs(number)
        nodes.order("kill")
        wait_for_epochs(45)
        assert conductor.poll() is None
        nodes.order("add")
        output, _ = conductor.communicate(timeout=200)
    assert conductor.returncode == 0, output
    assert output.count("; trying again") >= 2
    _same_rows(calm, tmp_path)
    wait_for(lambda: not nodes.processes(WORKER), what="every worker to end")


def test_a_conductor_that_is_killed_and_then_interrupted_goes_on_and_loses_nothing(
    nodes, calm, tmp_path
):
    for number, how in ((10, signal.SIGKILL), (30, signal.SIGINT)):
        with running(*_words(nodes), cwd=tmp_path) as conductor:
            wait_for(lambda number=number: _epochs(tmp_path) >= number, seconds=120, what="epochs")
            conductor.send_signal(how)
            conductor.communicate(timeout=100)
        wait_for(lambda: not nodes.processes(WORKER), what="every worker to end")
    assert conductor.returncode == 130
    done = search(*_words(nodes), cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    _same_rows(calm, tmp_path)


def test_results_that_nodes_do_not_share_are_refused_before_anything_is_written(nodes, tmp_path):
    # Every process sees another folder there.
    done = search(*_words(nodes), "results_root=/proc/self/cwd/results", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "results_root: must lie on a file system that every node of the cluster shares" in (
        done.stderr
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["placement.address=ray://127.0.0.1:9"], "placement.address: must lead to a Ray cluster"),
        (["placement.address=nowhere"], "but got 'nowhere': no HOST:PORT; start one"),
        (["placement.threads=9"], "placement: a node must have room for one slot (9 CPUs"),
        (["placement.gpus_per_trial=3"], "1 CPUs and 2 GPUs"),
        (["placement.gpus=0"], "placement.gpus: must be null with placement=ray"),
        (
            ["placement.gpus_per_trial=2", "placement.slots_per_gpu=2"],
            "placement.slots_per_gpu: must be 1 where placement.gpus_per_trial is above 1",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_is_one_line_and_nothing_is_written(
    words, message, nodes, tmp_path
):
    done = search(*_words(nodes), *words, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["placement.gpus_per_trial=2"], "gpus 0,1 .* on cuda"),
        (["placement.gpus_per_trial=null", "placement.slots_per_gpu=4"], "gpus [01] .* on cuda"),
        (["placement.gpus_per_trial=0"], "gpus  .* on cpu"),
    ],
    ids=["two", "a fourth of one", "none"],
)
def test_a_worker_sees_the_gpus_that_ray_gives_it(words, seen, nodes, tmp_path):
    done = search(
        *_words(nodes),
        *words,
        "trainer._target_=toys.tell",
        "placement.slots=1",
        "seeds=1",
        "space.optimizer.lr.points=2",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    logs = [path.read_text() for path in (tmp_path / "results" / "far" / "logs").glob("[0-9]*.log")]
    assert logs
    assert all(re.search(seen, log) for log in logs), logs
    assert set(trials(tmp_path / "results" / "far").device) == {seen.split()[-1]}
