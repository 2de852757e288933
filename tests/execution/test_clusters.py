"""Searches on real clusters of two nodes, Ray's and Dask's: the rows of a local search, whatever is killed."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
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
    undisturbed,
    wait_for,
    words_of,
)
from refusals import check_told

from search.__main__ import main
from search.storage.slot_orders import read_slots

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clusters"), pytest.mark.timeout(400)]
SEARCH = [*TINY, "trainer.epochs=20", "seeds=6"]
PAUSE = {"TOY_PAUSE": "0.1"}
WORKER = "search.execution.worker.process"
PACKAGES = {"ray": "ray", "dask": "distributed"}
STARTERS = {
    "ray": "ray::NodeSlot",
    "dask": "distributed.cli.dask_worker",
}  # processes that start workers


class Nodes:
    """A cluster: its engine, its address, and orders to it."""

    def __init__(self, engine: str, process: "subprocess.Popen[str]", *, mark: str) -> None:
        self.engine, self._process, self._mark = engine, process, mark
        self.address = self._answer()
        self._number = 2

    def order(self, word: str) -> None:
        """kill or add a node, and so on: returns when it is done."""
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"
        self._number += {"kill": -1, "add": 1}.get(word, 0)

    def restore(self) -> None:
        """Two nodes, as other tests have them."""
        while self._number != 2:
            self.order("add" if self._number < 2 else "kill")

    @property
    def words(self) -> list[str]:
        """The search on this cluster."""
        key = {"ray": "address", "dask": "scheduler"}[self.engine]
        return [
            *SEARCH,
            f"placement={self.engine}",
            f"placement.{key}={self.address}",
            "placement.gpus_per_trial=0",
            "name=far",
        ]

    def processes(self, word: str) -> list[psutil.Process]:
        """Of this cluster, whose command line begins with or holds a word."""
        return [each for each in marked(self._mark) if word in " ".join(words_of(each))]

    def strangers(self) -> list[psutil.Process]:
        """Workers of another user; where this one is not root, there is none, and any will do."""
        workers = self.processes(WORKER)
        return [each for each in workers if os.getuid() or each.uids().real]

    def kill_worker(self) -> None:
        """One of them."""
        self.processes(WORKER)[0].kill()

    def kill_starter(self) -> None:
        """What starts the workers of a slot; with Dask, this is the second node: another comes."""
        self.processes(STARTERS[self.engine])[-1].kill()
        if self.engine == "dask":
            self._number -= 1
            self.order("add")

    def replace_second(self) -> None:
        """Kills the second node and adds another."""
        self.order("kill")
        self.order("add")

    def _answer(self) -> str:
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module", params=["ray", "dask"])
def nodes(request, tmp_path_factory) -> Iterator[Nodes]:
    """Workers get the environment of their node: so the toys' pause is the cluster's."""
    engine = request.param
    if importlib.util.find_spec(PACKAGES[engine]) is None:
        pytest.skip(f"needs pip install 'knobwise[{engine}]'")
    mark = uuid.uuid4().hex
    with (tmp_path_factory.mktemp(engine) / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(HERE / f"{engine}_nodes.py")],
            env=environment(**PAUSE, **{MARK: mark}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        yield Nodes(engine, process, mark=mark)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """The same search on this machine, undisturbed."""
    return undisturbed(*SEARCH, cwd=tmp_path_factory.mktemp("calm"), timeout=300, TOY_PAUSE="0")


def _most_at_once(cwd: Path, *, trials: int) -> int:
    """How many trials of `toys.occupy` had a slot at one time, in all searches there."""
    times = []
    for log in (cwd / "results").glob("*/logs/[0-9]*.log"):
        _, begun, ended = log.read_text().split()
        times += [(float(begun), 1), (float(ended), -1)]
    assert len(times) >= 2 * trials
    return max(sum(step for _, step in sorted(times)[: n + 1]) for n in range(len(times)))


def _epochs(cwd: Path) -> int:
    curves = cwd / "results" / "far" / "curves.jsonl"
    return curves.read_bytes().count(b"\n") if curves.exists() else 0


def _is_within_a_trial(workers: list[psutil.Process], cwd: Path) -> bool:
    """Whether a trial that began in one of the workers has just had an epoch of its middle."""
    ids = {worker.pid for worker in workers}
    begun = {
        int(log.stem)
        for log in (cwd / "results" / "far" / "logs").glob("[0-9]*.log")
        if ids & {int(id) for id in re.findall("begins at .* in (.*)\n", log.read_text())}
    }
    curves = cwd / "results" / "far" / "curves.jsonl"
    lines = curves.read_text().splitlines() if begun else []
    last = [json.loads(line) for line in lines[-6:] if line.endswith("}")]
    return any(record["trial"] in begun and 3 <= record["epoch"] <= 15 for record in last)


def _same_rows(calm: Path, cwd: Path) -> None:
    far = cwd / "results" / "far"
    pd.testing.assert_frame_equal(steady(trials(calm)), steady(trials(far)), check_exact=True)
    curves = [
        pd.read_parquet(folder / "curves.parquet").drop(columns="seconds") for folder in (calm, far)
    ]
    pd.testing.assert_frame_equal(*curves, check_exact=True)


def _at_work(cwd: Path) -> list[str]:
    """The nodes of the slots that train."""
    return [row.node for row in read_slots(cwd / "results" / "far") if row.state == "trains"]


def _attempts(cwd: Path) -> list[str]:
    """By attempt at a trial, the id of its worker's process."""
    logs = (cwd / "results" / "far" / "logs").glob("[0-9]*.log")
    return [id for log in logs for id in re.findall("begins at .* in (.*)\n", log.read_text())]


def test_a_worker_what_starts_it_and_three_nodes_are_killed_and_rows_are_those_of_local_workers(
    nodes, calm, tmp_path
):
    hold = tmp_path / "hold"
    hold.touch()  # trials begin and none ends: every kill interrupts one
    with running(*nodes.words, "trainer._target_=toys.held", cwd=tmp_path) as conductor:
        for killed, kill in enumerate(
            [nodes.kill_worker, nodes.kill_starter, *[nodes.replace_second] * 3]
        ):
            wait_for(
                lambda number=killed + 2: (
                    conductor.poll() is not None or len(set(_attempts(tmp_path))) == number
                ),
                seconds=120,
                what=f"{killed + 2} workers to have begun a trial",
            )
            kill()
        hold.unlink()
        output, _ = conductor.communicate(timeout=200)
    assert conductor.returncode == 0, output
    assert output.count("; trying again") == 5, output
    assert (
        len(_attempts(tmp_path)) == len(trials(calm)) + 5
    )  # no trial is tried again without a word
    _same_rows(calm, tmp_path)
    wait_for(lambda: not nodes.processes(WORKER), what="every worker to end")


@pytest.mark.timeout(1500)
def test_a_conductor_killed_ten_times_and_then_interrupted_goes_on_and_loses_nothing(
    nodes, calm, tmp_path
):
    for how in [signal.SIGKILL] * 10 + [signal.SIGINT]:
        reached = _epochs(tmp_path)
        with running(*nodes.words, cwd=tmp_path) as conductor:
            wait_for(
                lambda reached=reached: _epochs(tmp_path) >= reached + 5, seconds=120, what="epochs"
            )
            conductor.send_signal(how)
            conductor.communicate(timeout=100)
        wait_for(lambda: not nodes.processes(WORKER), what="every worker to end")
    assert conductor.returncode == 130
    done = search(*nodes.words, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    _same_rows(calm, tmp_path)


@pytest.mark.timeout(1200)
def test_a_killed_head_is_the_reason_and_the_same_command_goes_on(nodes, calm, tmp_path):
    head = {"ray": "head of the Ray cluster", "dask": "Dask scheduler"}[nodes.engine]
    for comes_at_once in (False, True):
        reached = _epochs(tmp_path) + 20
        with running(*nodes.words, cwd=tmp_path) as conductor:
            wait_for(lambda: _epochs(tmp_path) >= reached, seconds=240, what="epochs")  # noqa: B023
            nodes.order("behead")
            if comes_at_once:
                nodes.order("head")
            output, _ = conductor.communicate(timeout=100)
        if not comes_at_once:
            nodes.order("head")
        assert conductor.returncode == 1, output
        assert f": the {head} has ended" in output
        assert "[slot-cannot-work]" in output
        assert "give the same command again" in output
        wait_for(lambda: not nodes.processes(WORKER), what="every worker to end")
    done = search(*nodes.words, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    _same_rows(calm, tmp_path)


def test_a_node_that_stands_still_is_given_up_and_changes_nothing_when_it_wakes(
    nodes, calm, tmp_path
):
    words = [*nodes.words, "trainer.epoch_timeout=4"]
    with running(*words, cwd=tmp_path) as conductor:
        wait_for(lambda: _epochs(tmp_path) >= 20, seconds=120, what="epochs")
        starters = nodes.processes(STARTERS[nodes.engine])
        frozen = next(each for each in starters if each.children())  # it has a worker
        frozen = [frozen, *frozen.children(recursive=True)]
        for process in frozen:
            process.suspend()
        reached = _epochs(tmp_path)
        wait_for(
            lambda: conductor.poll() is not None or _epochs(tmp_path) >= reached + 250,
            seconds=120,
            what="epochs elsewhere",
        )
        for process in frozen:
            if process.is_running():
                process.resume()
        output, _ = conductor.communicate(timeout=200)
    assert conductor.returncode == 0, output
    assert "hung: no epoch for trainer.epoch_timeout=4 s; trying again" in output
    far = tmp_path / "results" / "far"
    pd.testing.assert_frame_equal(steady(trials(calm)), steady(trials(far)), check_exact=True)


def test_nodes_that_all_stood_still_until_they_were_given_up_work_again(nodes, calm, tmp_path):
    if nodes.engine == "ray":
        pytest.skip("Ray itself declares such nodes dead, and they leave its cluster")
    with running(*nodes.words, "trainer.epoch_timeout=4", cwd=tmp_path) as conductor:
        wait_for(lambda: len(_at_work(tmp_path)) == 2, seconds=120, what="both nodes")
        starters = nodes.processes(STARTERS[nodes.engine])
        frozen = [each for node in starters for each in [node, *node.children(recursive=True)]]
        for process in frozen:
            process.suspend()
        wait_for(lambda: not _at_work(tmp_path), seconds=120, what="both nodes to be given up")
        for process in frozen:
            if process.is_running():
                process.resume()
        output, _ = conductor.communicate(timeout=200)
    assert conductor.returncode == 0, output
    far = tmp_path / "results" / "far"
    pd.testing.assert_frame_equal(steady(trials(calm)), steady(trials(far)), check_exact=True)


def test_nodes_that_join_bring_slots_and_a_drained_one_gives_its_trials_back(
    nodes, calm, tmp_path, monkeypatch, capsys, request
):
    monkeypatch.chdir(tmp_path)
    request.addfinalizer(nodes.restore)

    def wait_for_nodes(number: int) -> None:
        wait_for(
            lambda: len(set(_at_work(tmp_path))) == number,
            seconds=120,  # Ray itself needs 36 s for its first answer, on an idle machine
            what=lambda: f"{number} nodes at work, not {_at_work(tmp_path)}",
        )

    hold = tmp_path / "hold"
    hold.touch()  # no trial ends before all nodes are there
    nodes.order("kill")
    words = [*nodes.words, "placement.slots=auto", "trainer._target_=toys.held"]
    with running(*words, cwd=tmp_path) as conductor:
        for number in (1, 2, 3):
            wait_for_nodes(number)
            assert len(read_slots(tmp_path / "results" / "far")) == number
            if number < 3:
                nodes.order("add")
        hold.unlink()
        drained = _at_work(tmp_path)[0]
        assert main(["workers", "far", "drain", drained]) == 0
        assert f"{drained} is being drained: 1 slot to move" in capsys.readouterr().out
        wait_for(
            lambda: drained not in (now := _at_work(tmp_path)) and now, what="the drain to end"
        )
        output, _ = conductor.communicate(timeout=300)
    assert conductor.returncode == 0, output
    assert "starting 1 worker (cpu)" in output
    assert "trying again" not in output
    _same_rows(calm, tmp_path)


@pytest.mark.timeout(1200)
def test_a_node_of_another_user_that_shares_nothing_brings_rows_logs_and_weights_back(
    nodes, calm, tmp_path, request
):
    request.addfinalizer(lambda: nodes.order("part"))
    words = [*nodes.words, "placement.shared=false", "placement.slots=3"]
    nodes.order("stranger")
    with running(*words, "trainer._target_=toys.patient", cwd=tmp_path) as conductor:
        wait_for(
            lambda: _is_within_a_trial(nodes.strangers(), tmp_path),
            seconds=240,
            what="a worker of another user to be within a trial",
        )
        nodes.order("part")
        nodes.order("stranger")
        output, _ = conductor.communicate(timeout=200)
    assert conductor.returncode == 0, output
    assert "; trying again" in output
    _same_rows(calm, tmp_path)
    far = tmp_path / "results" / "far"
    weights = [(each / "best" / "weights.safetensors").read_bytes() for each in (calm, far)]
    assert weights[0] == weights[1]
    begun = [
        [int(epoch) for epoch in re.findall("begins at ([0-9]+) in", log.read_text())]
        for log in (far / "logs").glob("[0-9]*.log")
    ]
    assert len(begun) == len(trials(far))
    assert any(later > 1 for _, *again in begun for later in again)  # from its checkpoint


def test_lanes_on_a_cluster_give_the_table_of_local_ones(nodes, tmp_path):
    words = ["lr_sweep", "trainer.epochs=3", "seeds=2", "lanes=8", "placement.slots=2"]
    for place in (nodes.words[len(SEARCH) :], ["name=calm"]):
        done = search(*words, *place, cwd=tmp_path, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
    tables = [steady(trials(tmp_path / "results" / name)) for name in ("calm", "far")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert set(tables[0].strategy) == {"vmap"}


def test_two_searches_share_a_cluster_and_no_slot_is_booked_twice(nodes, tmp_path):
    words = [*nodes.words, "trainer._target_=toys.occupy", "seeds=2", "space.optimizer.lr.points=3"]
    with running(*words, "name=one", cwd=tmp_path) as one:
        done = search(*words, "name=two", cwd=tmp_path, timeout=200)
        output, _ = one.communicate(timeout=200)
    assert (one.returncode, done.returncode) == (0, 0), output + done.stdout + done.stderr
    assert _most_at_once(tmp_path, trials=12) <= 2  # the cluster has two CPUs


@pytest.mark.parametrize(("fitting", "points"), [(1, 3), (2, 30)])
def test_a_node_gets_as_many_slots_as_its_memory_holds(fitting, points, nodes, tmp_path):
    machine = psutil.virtual_memory().total / 10**9
    # Ray's nodes have 1 and 3 GB; Dask's workers share the machine.
    memory = {"ray": 2 / fitting**2, "dask": round(0.6 * machine / fitting**2, 1)}[nodes.engine]
    words = [*nodes.words, "trainer._target_=toys.occupy", "seeds=1"]
    words += [f"placement.memory_gb={memory}", f"space.optimizer.lr.points={points}"]
    done = search(*words, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _most_at_once(tmp_path, trials=points) == fitting


def test_results_that_nodes_do_not_share_are_refused_before_anything_is_written(nodes, tmp_path):
    # Every process sees another folder there.
    done = search(*nodes.words, "results_root=/proc/self/cwd/results", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "results_root: must lie on a file system that every node of the cluster shares" in (
        done.stderr
    )
    assert not list(tmp_path.iterdir())


REFUSALS = {
    "ray": [
        (["placement.address=ray://127.0.0.1:9"], ["no-ray-cluster", "placement.address"]),
        (["placement.address=nowhere"], ["no-ray-cluster", "'nowhere'", "HOST:PORT"]),
        (["placement.gpus=0"], ["cluster-chooses-gpus", "placement.gpus", "placement=ray"]),
    ],
    "dask": [
        (["placement.scheduler=tcp://127.0.0.1:9"], ["no-dask-scheduler", "placement.scheduler"]),
        (["placement.scheduler=nowhere"], ["no-dask-scheduler", "'nowhere'", "HOST:PORT"]),
        (["placement.gpus=0"], ["cluster-chooses-gpus", "placement.gpus", "placement=dask"]),
    ],
    "both": [
        (["placement.threads=9"], ["no-node-has-room", "9 CPUs"]),
        (["placement.gpus_per_trial=3"], ["no-node-has-room", "1 CPU and 2 GPUs"]),
        (
            ["placement.memory_gb=5000"],
            ["no-node-has-room", "placement.threads", "5000 GB"],
        ),
        (
            ["placement.memory_gb=1", "placement.gpus_per_trial=1"],
            ["gpu-memory-not-counted", "placement.memory_gb"],
        ),
        (
            ["placement.gpus_per_trial=2", "placement.slots_per_gpu=2"],
            ["gpus-shared-and-joined", "placement.slots_per_gpu", "placement.gpus_per_trial"],
        ),
    ],
}


def test_a_cluster_that_cannot_be_used_is_one_line_and_nothing_is_written(nodes, tmp_path):
    for words, message in REFUSALS[nodes.engine] + REFUSALS["both"]:
        done = search(*nodes.words, *words, cwd=tmp_path)
        assert done.returncode == 2, done.stdout + done.stderr
        check_told(done.stderr, *message)
        assert done.stderr.count("\n") == 1, done.stderr
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["placement.gpus_per_trial=2"], "gpus (0,1|GPU-aa11,GPU-bb22) .* on cuda"),
        (
            ["placement.gpus_per_trial=null", "placement.slots_per_gpu=4"],
            "gpus ([01]|GPU-[ab0-9]*) .* on cuda",
        ),
        (["placement.gpus_per_trial=0"], "gpus  .* on cpu"),
    ],
    ids=["two", "a fourth of one", "none"],
)
def test_a_worker_sees_the_gpus_that_its_node_gives_it(words, seen, nodes, tmp_path):
    done = search(
        *nodes.words,
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


DDP = [
    "own_command",
    'trainer.command=["{python}",-m,torch.distributed.run,--standalone,--nproc-per-node,2,-m,'
    'trainers.examples.ddp,--lr,"{optimizer.lr}",--seed,"{seed}",--epochs,"{trainer.epochs}"]',
    *("trainer.epochs=8", "trainer.patience=null", "seeds=1", "space.optimizer.lr.points=2"),
    *("protocol.extend=0", "protocol.refine=0", "rehearse=false", "placement.slots=1"),
]


def _rank(nodes: Nodes, number: str) -> list[psutil.Process]:
    """The process of a rank of the trial that trains."""
    found = []
    for each in nodes.processes("trainers.examples.ddp"):
        with suppress(psutil.Error):
            if each.environ().get("LOCAL_RANK") == number:
                found.append(each)
    return found


@pytest.mark.timeout(900)
def test_a_trial_whose_second_rank_is_killed_goes_on_with_both_gpus_to_the_local_table(
    nodes, tmp_path
):
    calm = search(*DDP, "name=calm", cwd=tmp_path, timeout=400)
    assert calm.returncode == 0, calm.stdout + calm.stderr
    place = [word for word in nodes.words[len(SEARCH) :] if "gpus" not in word]
    with running(*DDP, *place, "placement.gpus_per_trial=2", cwd=tmp_path) as conductor:
        wait_for(lambda: _epochs(tmp_path) >= 2, seconds=240, what="epochs")
        ranks: list[psutil.Process] = []
        wait_for(lambda: ranks or ranks.extend(_rank(nodes, "1")), seconds=60, what="a second rank")
        gpus = ranks[0].environ()["CUDA_VISIBLE_DEVICES"]
        ranks[0].kill()
        output, _ = conductor.communicate(timeout=400)
    assert conductor.returncode == 0, output
    assert gpus.count(",") == 1  # both
    assert output.count("rank 1 was killed by SIGKILL") == output.count("; trying again") == 1
    tables = [steady(trials(tmp_path / "results" / name)) for name in ("calm", "far")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert not nodes.processes("trainers.examples.ddp")
