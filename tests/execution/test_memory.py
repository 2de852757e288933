"""Out of memory as an outcome: once more alone, then infeasible; a promise of memory that is checked and kept."""

import json
import signal

import pytest
from kit import search, trials
from refusals import check_told, raises
from test_faults import NAUGHTY
from test_lanes_run import _served, _underway

from search.execution import memory
from search.execution.connections import WorkerExited, WorkerHandle
from search.execution.end_reasons import TrialEnd
from search.execution.memory import GROUP_FILES, check_memory, memory_here, memory_kills
from search.execution.messages import Hello
from search.execution.placement.cluster import ClusterSlot
from search.execution.placement.dask_cluster import Node, rooms
from search.execution.placement.ray_cluster import _room
from search.execution.running_trial import RunningTrial
from search.execution.trial_endings import TrialEndings
from search.execution.trial_queue import TrialQueue
from search.execution.worker.failures import cause_of, end_of
from trainers.command_end import CommandFailed, CommandKilled, check_end

SHORT = "out of memory, alone on cpu: MemoryError"


def test_a_trial_that_asks_for_more_than_its_slot_has_is_tried_alone_and_then_infeasible(tmp_path):
    words = [*NAUGHTY, "+model.habit=hoard", "placement.memory_gb=1.5"]
    words += ["report=on"]
    words += ["trainer.epoch_timeout=100"]  # a busy machine's slow start is no failed attempt
    done = search(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(tmp_path / "results" / "own_trainer").set_index("optimizer.lr")
    assert table.loc[0.01, "state"] == "infeasible"
    assert table.loc[0.01, "reason"].startswith(SHORT)
    assert list(table.drop(0.01).state) == ["complete"] * 5
    page = (tmp_path / "results" / "own_trainer" / "report.html").read_text()
    assert "1 trial gave no result, 1 of them for want of memory" in page
    journal = (tmp_path / "results" / "own_trainer" / "journal.log").read_text()
    told = [json.loads(line) for line in journal.splitlines() if '"constraints:infeasible"' in line]
    assert len(told) == 1  # a sampler learns of it


def test_more_memory_than_is_free_is_refused_before_anything_is_written(tmp_path):
    done = search(*NAUGHTY, "placement.memory_gb=5000", cwd=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    check_told(done.stderr, "slots-exceed-gpu-memory", "placement.memory_gb", "5000", "cpu")


def test_slots_are_counted_by_the_memory_that_they_share(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", {"0": 80 * 10**9, "1": 10 * 10**9}.get)
    check_memory({"cuda:0": 4, "cuda:1": 1, "cuda:MIG-1": 9}, memory_gb=10)
    with raises("slots-exceed-gpu-memory", "10", "cuda:1", "10.0"):  # fmt: skip
        check_memory({"cuda:0": 4, "cuda:1": 2}, memory_gb=10)


def test_a_trial_short_of_memory_waits_until_nobody_shares_it_and_then_nobody_joins():
    short = _underway(7)
    short.alone_on = "cpu"
    queue = TrialQueue([_underway(8), _underway(9)], slots=2)
    queue.put_back([short])
    busy, idle = _served(0, room=1, trials=[_underway(1)]), _served(1, room=1)
    workers = [busy, idle]
    assert queue.take(idle, workers=workers) == []
    busy.trials = {}
    assert queue.take(busy, workers=workers) == [short]
    busy.trials = {7: short}
    assert queue.take(idle, workers=workers) == []
    assert short.must_run_alone
    busy.trials = {}
    assert [trial.spec.trial for trial in queue.take(idle, workers=workers)] == [8]


def test_workers_of_a_cluster_share_memory_where_machine_and_gpus_are_the_same():
    def far(number: int, host: str, gpus: str, *trials: RunningTrial) -> WorkerHandle:
        slot = ClusterSlot(number=number, gpu=None, threads=1, gpus=0.5, shared=True, growing=False)
        worker = WorkerHandle(slot=slot, connection=None, node=f"node of {host}", room=1)
        worker.greet(Hello(pid=1, host=host, gpus=gpus))
        worker.trials = {trial.spec.trial: trial for trial in trials}
        return worker

    short = _underway(7)
    short.alone_on = "cuda:0 of a"
    queue = TrialQueue([_underway(8)], slots=4)
    queue.put_back([short])
    workers = [far(0, "a", "0", _underway(1)), far(1, "a", "0"), far(2, "b", "0", _underway(2)), far(3, "b", "0")]  # fmt: skip
    assert [trial.spec.trial for trial in queue.take(workers[1], workers=workers)] == []
    assert [trial.spec.trial for trial in queue.take(workers[3], workers=workers)] == [8]
    workers[0].trials = {}
    assert queue.take(workers[1], workers=workers) == [short]


def test_memory_counts_once_for_a_host_of_dask_and_for_each_node_of_ray():
    nodes = {
        f"tcp://{host}:{port}": Node(host=host, threads=4, gpus=(), memory=memory * 10**9)
        for host, port, memory in (("a", 1, 10), ("a", 2, 10), ("b", 1, 100))
    }
    cpus = {"threads": 1, "gpus": 0, "slots_per_gpu": 1}
    assert rooms(nodes, memory=0, **cpus) == {"a": 8, "b": 4}
    assert rooms(nodes, memory=3 * 10**9, **cpus) == {"a": 3, "b": 4}
    node = {"CPU": 4.0, "memory": 10e9}
    assert [_room(node, 1, 0, memory * 10**9) for memory in (0, 3, 11)] == [4, 3, 0]


@pytest.mark.parametrize("version", [1, 2])
def test_limits_and_the_count_of_kills_are_those_of_the_own_group_and_of_what_holds_it(
    version, tmp_path, monkeypatch
):
    kind = "memory" if version == 1 else ""
    files = GROUP_FILES[kind]._replace(root=str(tmp_path))
    step = tmp_path / "job" / "step"
    step.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("4:memory:/job/step\n" if version == 1 else "0::/job/step\n")
    monkeypatch.setattr(memory, "GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "vmstat")
    monkeypatch.setattr(memory, "GROUP_FILES", {kind: files})
    for place, limit, used in ((step, "max", 10**6), (step.parent, 3 * 10**6, 2 * 10**6)):
        (place / files.limit).write_text(f"{limit}\n")
        (place / files.used).write_text(f"{used}\n")
    (step.parent / "memory.stat").write_text(
        "anon 1\n" + "".join(f"{name} 750000\n" for name in files.droppable)
    )
    assert (memory_here(), memory._free_here()) == (3 * 10**6, 2_500_000)
    (step / files.kills).write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    assert memory_kills() == 3
    (step / files.kills).unlink()
    assert memory_kills() == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 12\noom_kill 5\n")
    assert memory_kills() == 5


@pytest.mark.parametrize("status", [-signal.SIGKILL, 128 + signal.SIGKILL, 1])
def test_a_program_counts_as_out_of_memory_only_if_the_kernel_has_killed_meanwhile(
    status, tmp_path, monkeypatch
):
    said = ["torch: failed (exitcode: -9) local_rank: 1 (pid: 7)"] if status == 1 else []
    with pytest.raises(CommandKilled) as caught:
        check_end(status, ["train.sh"], said)
    monkeypatch.setattr("search.execution.worker.failures.memory_kills", lambda: 3)
    ends = [
        end_of(cause_of(caught.value, kills_before=kills), trial=0, folder=tmp_path)
        for kills in (3, 2)
    ]
    assert [end.end for end in ends] == [TrialEnd.KILLED, TrialEnd.OUT_OF_MEMORY]
    assert "(the kernel has killed a process for want of memory)" in ends[1].reason
    with pytest.raises(CommandFailed) as caught:
        check_end(1, ["train.sh"], [])
    assert cause_of(caught.value, kills_before=2) is caught.value


def test_a_worker_that_the_kernel_killed_for_memory_is_told_from_one_that_somebody_killed(
    tmp_path, monkeypatch
):
    kills = iter([2, 2, 3, 3])
    monkeypatch.setattr("search.execution.trial_endings.memory_kills", lambda: next(kills))
    endings = TrialEndings(tmp_path, queue=None, recorder=None, logs=None, callback=None, connections=None)  # fmt: skip
    killed = WorkerExited(worker=None, status=-signal.SIGKILL, output=b"")
    assert [endings.lacked_memory(killed) for _ in range(2)] == [False, True]
    left = WorkerExited(worker=None, status=1, output=b"", placement_reason="its actor or node has died: Worker exit type: NODE_OUT_OF_MEMORY Worker exit detail: Task was killed due to the node running low on memory.")  # fmt: skip
    assert endings.lacked_memory(left)
