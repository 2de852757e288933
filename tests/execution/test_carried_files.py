"""Workers that share no folder with the search: rows, checkpoints, weights and logs travel, whole or not at all."""

import os
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest
from kit import MARK, TINY, marked, running, steady, trials, undisturbed, wait_for, words_of
from msgspec import structs

from search.execution.carried_files import CarriedFiles as ConductorsEnd
from search.execution.file_chunks import CHUNK, read_chunk, write_chunk
from search.execution.link import Link
from search.execution.messages import (
    ChunkWanted,
    FileChunk,
    FileRemoved,
    FilesWanted,
    LogWritten,
    MessageError,
)
from search.execution.placement.worker_folder import remove_abandoned
from search.execution.worker.trial_files import SentFiles as WorkersEnd
from search.storage.logs import TrialLogs

SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)


def _conductors_end(folder: Path) -> ConductorsEnd:
    return ConductorsEnd(folder, logs=TrialLogs(folder / "logs", limit=2**20))


@contextmanager
def _worker(search_folder: Path, own_folder: Path, *, trials: list[int]):
    """The worker's end; a thread answers it from the search's folder."""
    ours, theirs = (Link(end) for end in socket.socketpair())
    end = _conductors_end(search_folder)

    def answer() -> None:
        with suppress(EOFError):
            while True:
                reply = end.reply(ours.receive(), trials=trials, log="worker-0.log")
                if reply is not None:
                    ours.send(reply)

    thread = threading.Thread(target=answer)
    thread.start()
    own_folder.mkdir()
    yield WorkersEnd(theirs, folder=own_folder)
    theirs.close()
    thread.join()
    ours.close()


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_of_every_size_arrive_both_ways_and_what_is_removed_goes(tmp_path):
    whole, own = tmp_path / "search", tmp_path / "own"
    for size in SIZES:
        for place in ("arrays/fold-0", "checkpoints/3"):
            (whole / place).mkdir(parents=True, exist_ok=True)
            (whole / place / f"{size}.npy").write_bytes(
                bytes(range(251)) * (size // 251) + b"x" * (size % 251)
            )
    (whole / "checkpoints/3/last.safetensors.part").write_bytes(b"of a killed attempt")
    with _worker(whole, own, trials=[3]) as files:
        files.fetch_rows()
        files.fetch(3)
        assert _tree(own) == _tree(whole)
        (own / "checkpoints/3/1.npy").unlink()
        (own / "checkpoints/3/fold-1").mkdir()
        (own / "checkpoints/3/fold-1/last.safetensors").write_bytes(b"y" * (2 * CHUNK))
        (own / "files/3").mkdir(parents=True)
        (own / "files/3/model.onnx").write_bytes(b"z")
        (own / "logs/3.log").write_bytes(b"one line\n")
        files.send([3])
        files.send_logs()
        (own / "files/3/late.txt").write_bytes(b"at the end")
        files.send([3])
        files.send([3], ended=True)
    assert _tree(own) == _tree(whole)


def test_workers_of_a_node_fetch_rows_once_and_the_last_one_leaves_nothing(tmp_path, monkeypatch):
    node, whole = tmp_path / "node", tmp_path / "search"
    node.mkdir()
    (whole / "arrays/fold-0").mkdir(parents=True)
    (whole / "arrays/stamp").write_text("of these rows")
    (whole / "arrays/fold-0/train.x.npy").write_bytes(b"x" * (2 * CHUNK))
    monkeypatch.setattr("tempfile.tempdir", str(node))
    fetch = (
        "import socket, sys, time; from pathlib import Path\n"
        "from search.execution.link import Link\n"
        "from search.execution.worker.trial_files import SentFiles\n"
        "link = Link(socket.socket(fileno=int(sys.argv[1])))\n"
        "own = Path(sys.argv[2]); own.mkdir()\n"
        "SentFiles(link, folder=own).fetch_rows()\n"
        "print('fetched', flush=True); time.sleep(60)"
    )
    asked, workers = [], []
    for number in range(3):
        ours, theirs = socket.socketpair()
        end, link = _conductors_end(whole), Link(ours)
        own = tmp_path / f"own-{number}"
        process = subprocess.Popen(
            [sys.executable, "-c", fetch, str(theirs.fileno()), str(own)],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "TMPDIR": str(node)},
            stdout=subprocess.PIPE,
        )
        theirs.close()
        asked.append(0)
        while asked[-1] < (1 if number else 4):  # the stamp; then all: it, and rows in two pieces
            message = link.receive()
            asked[-1] += isinstance(message, ChunkWanted)
            link.send(end.reply(message, trials=[], log="worker-0.log"))
        assert process.stdout.readline() == b"fetched\n"
        workers.append((process, ours))
        assert (own / "arrays/fold-0/train.x.npy").read_bytes() == b"x" * (2 * CHUNK)
        remove_abandoned()
    for process, ours in workers:
        assert len(list(node.iterdir())) == 1
        process.kill()
        process.communicate()
        ours.close()
        remove_abandoned()
    assert not list(node.iterdir())


def test_a_damaged_or_missing_piece_is_noticed_and_the_old_file_stays(tmp_path):
    whole, own = tmp_path / "search", tmp_path / "own"
    (own / "checkpoints/3").mkdir(parents=True)
    (whole / "checkpoints/3").mkdir(parents=True)
    path = "checkpoints/3/last.safetensors"
    (own / path).write_bytes(b"n" * (CHUNK + 9))
    (whole / path).write_bytes(b"old")
    first, second = read_chunk(own, path, offset=0), read_chunk(own, path, offset=CHUNK)
    with pytest.raises(MessageError, match="a piece is missing before byte 1048576"):
        write_chunk(whole, second)
    with pytest.raises(MessageError, match="was damaged on its way"):
        write_chunk(whole, structs.replace(first, data=b"m" + first.data[1:]))
    with pytest.raises(MessageError, match="does not fit"):
        write_chunk(whole, structs.replace(second, size=CHUNK + 3))
    assert (whole / path).read_bytes() == b"old"
    assert not write_chunk(whole, first)
    assert (whole / path).read_bytes() == b"old"
    assert write_chunk(whole, second)
    assert (whole / path).read_bytes() == b"n" * (CHUNK + 9)


@pytest.mark.parametrize(
    "path",
    [
        "../journal.log",
        "/etc/passwd",
        "journal.log",
        "checkpoints/4/x",
        "checkpoints/3/../4/x",
        "checkpoints/33",
        "",
        "logs/4.log",
    ],
)
def test_a_worker_reaches_no_file_but_those_of_its_trials(path, tmp_path):
    end = _conductors_end(tmp_path)
    data = {"offset": 0, "size": 0, "data": b"", "digest": b""}
    for message in (
        FilesWanted(place=path),
        ChunkWanted(path=path, offset=0),
        FileChunk(path=path, **data),
        FileRemoved(path=path),
        LogWritten(name=path, text=b"x"),
    ):
        with pytest.raises(MessageError):
            end.reply(message, trials=[3], log="worker-0.log")
    with pytest.raises(MessageError):  # rows are read only
        end.reply(FileChunk(path="arrays/stamp", **data), trials=[3], log="worker-0.log")
    assert not _tree(tmp_path)


APART = [
    *TINY,
    "placement=ray",
    "placement._target_=here.Here",
    "placement.slots=2",
    "placement.shared=false",
    "placement.max_retries=50",
]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The search of local workers, undisturbed."""
    return undisturbed(*TINY, cwd=tmp_path_factory.mktemp("calm"), TOY_PAUSE="0")


@pytest.mark.slow
def test_workers_in_folders_of_their_own_are_killed_and_give_the_rows_and_files_of_local_ones(
    calm, tmp_path
):
    nodes, mark = tmp_path / "nodes", tmp_path.name
    nodes.mkdir()
    curves = tmp_path / "results" / "apart" / "curves.jsonl"
    with running(
        *APART, "name=apart", cwd=tmp_path, TMPDIR=str(nodes), TOY_PAUSE="0.03", **{MARK: mark}
    ) as conductor:
        for number in (5, 15, 25):
            wait_for(
                lambda n=number: curves.exists() and curves.read_bytes().count(b"\n") >= n,
                seconds=120,
            )
            worker = "search.execution.worker.process"
            next(each for each in marked(mark) if worker in " ".join(words_of(each))).kill()
        output, _ = conductor.communicate(timeout=100)
    assert conductor.returncode == 0, output
    assert "; trying again" in output
    folders = [calm, tmp_path / "results" / "apart"]
    pd.testing.assert_frame_equal(*(steady(trials(each)) for each in folders), check_exact=True)
    weights = [(each / "best" / "weights.safetensors").read_bytes() for each in folders]
    assert weights[0] == weights[1]
    assert not list(nodes.iterdir())  # the workers' folders are gone


@pytest.mark.slow
def test_a_way_cut_for_five_seconds_and_strangers_at_the_port_change_no_row(calm, tmp_path):
    words = [*APART, "placement._target_=here.Cut", "name=apart"]
    curves = tmp_path / "results" / "apart" / "curves.jsonl"
    dice = random.Random(7)
    with running(*words, cwd=tmp_path, TOY_PAUSE="0.08") as conductor:
        said = iter(conductor.stdout.readline, "")
        port = next(int(line.split()[1]) for line in said if line.startswith("port "))
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
        wait_for(lambda: curves.exists() and curves.read_bytes().count(b"\n") >= 10, seconds=120)
        (tmp_path / "cut").touch()
        time.sleep(1)  # what was on its way has arrived
        reached = curves.read_bytes().count(b"\n")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with socket.create_connection(("127.0.0.1", port)) as stranger, suppress(OSError):
                stranger.sendall(dice.randbytes(dice.choice([1, 31, 32, 33, 70_000])))
        assert curves.read_bytes().count(b"\n") == reached
        (tmp_path / "cut").unlink()
        output, _ = conductor.communicate(timeout=100)
        for connection in silent:
            connection.close()
    assert conductor.returncode == 0, output
    assert "trying again" not in output
    tables = [steady(trials(each)) for each in (calm, tmp_path / "results" / "apart")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
