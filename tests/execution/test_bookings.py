"""Shares of GPUs and CPUs on a node: never more than the whole, whoever asks, and nothing stays after a kill."""

import fcntl
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from search.execution import gpus as gpus_module
from search.execution.gpu_sharing import gpus_announced
from search.execution.placement import bookings as bookings_module
from search.execution.placement.bookings import Bookings
from search.execution.placement.dask_node import Needs, serve
from search.execution.placement.worker_folder import remove_abandoned, worker_folder
from search.execution.slots import Slot

WHOLE = Fraction(1)


def test_a_booking_takes_the_freest_gpus_or_nothing(tmp_path):
    bookings = Bookings(tmp_path)
    gpus = ("GPU-a", "GPU-b")
    first = bookings.book({"tcp://node:1": Fraction(1, 2)}, gpus=gpus, number=1)
    assert first.gpus == ("GPU-a",)
    second = bookings.book({}, gpus=gpus, number=1, gpu_share=Fraction(1, 2))
    assert second.gpus == ("GPU-b",)
    assert bookings.book({}, gpus=gpus, number=2, gpu_share=Fraction(1, 2)) is None
    assert bookings.book({"tcp://node:1": Fraction(2, 3)}, gpus=gpus, number=0) is None
    assert bookings.book({"tcp://node:1": Fraction(1, 2)}, gpus=gpus, number=0) is not None
    first.release()
    assert bookings.book({}, gpus=gpus, number=2, gpu_share=Fraction(1, 2)).gpus == gpus


@settings(max_examples=30)
@given(st.lists(st.sampled_from([1, 2, 3, 4]), max_size=12))
def test_shares_of_different_sizes_fill_a_gpu_and_never_more(tmp_path_factory, sizes):
    bookings = Bookings(tmp_path_factory.mktemp("bookings"))
    taken, booked = Fraction(0), []
    for size in sizes:
        booking = bookings.book({}, gpus=["GPU-a"], number=1, gpu_share=Fraction(1, size))
        fits = taken + Fraction(1, size) <= 1
        assert (booking is not None) == fits
        if booking is not None:
            taken += Fraction(1, size)
            booked.append(booking)
    for booking in booked:
        booking.release()
    assert bookings.book({"GPU-a": WHOLE}) is not None


def test_what_a_killed_process_had_booked_is_free_again(tmp_path):
    holder = (
        "import sys, time; from fractions import Fraction; from pathlib import Path\n"
        "from search.execution.placement.bookings import Bookings\n"
        "booking = Bookings(Path(sys.argv[1])).book({'GPU-a': Fraction(1)})\n"
        "print('booked', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"booked\n"
    bookings = Bookings(tmp_path)
    assert bookings.book({"GPU-a": Fraction(1, 4)}) is None
    process.kill()
    process.communicate()
    assert bookings.book({"GPU-a": WHOLE}) is not None
    assert len(list(tmp_path.glob("*@*"))) == 1


def test_the_folder_of_a_killed_worker_starter_is_removed_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    holder = (
        "import time; from search.execution.placement.worker_folder import worker_folder\n"
        "with worker_folder() as folder: print(folder, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True)
    folder = Path(process.stdout.readline().strip())
    (folder / "rows.npy").write_bytes(b"much")
    remove_abandoned()
    assert folder.is_dir()
    process.kill()
    process.communicate()
    remove_abandoned()
    assert list(tmp_path.iterdir()) == []
    with worker_folder() as own:
        remove_abandoned()
        assert Path(own).is_dir()
    assert list(tmp_path.iterdir()) == []


def _slots(*gpus):
    return [Slot(number=n, gpu=gpu, threads=1) for n, gpu in enumerate(gpus)]


def test_searches_of_one_machine_share_a_gpu_and_each_hears_who_was_there_before(tmp_path):
    bookings = Bookings(tmp_path)
    with gpus_announced(_slots("0,1", "2"), search="first", bookings=bookings) as lines:
        assert lines == []
        with gpus_announced(_slots("2", "2"), search="second", bookings=bookings) as lines:
            assert [line.partition(" (process ")[0] for line in lines] == [
                "GPU 2 is also used by the search first"
            ]
            with gpus_announced(_slots("1", "2"), search="third", bookings=bookings) as lines:
                assert [line.count("the search") for line in lines] == [1, 2]
        # What books GPUs instead of sharing them keeps away from theirs.
        assert bookings.book({}, gpus=["0", "2"], number=1) is None
    assert bookings.book({}, gpus=["0", "2"], number=1).gpus == ("0",)
    with gpus_announced(_slots("0"), search="last", bookings=bookings) as lines:
        assert lines == ["GPU 0 is also used by a search on a Dask cluster"]
    with gpus_announced(_slots(None), search="on a CPU", bookings=bookings) as lines:
        assert lines == []


def test_a_node_where_nothing_can_be_booked_has_no_room_and_ends_no_search(tmp_path, monkeypatch):
    monkeypatch.setattr(bookings_module, "PATIENCE", 0.1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    needs = Needs(cpus="node", cpu_share=WHOLE, memory=0, gpus=0, gpu_share=WHOLE, by_torch=False)
    (tmp_path / "knobwise-bookings").mkdir()
    with (tmp_path / "knobwise-bookings" / "guard").open("w") as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        assert serve(None, needs=needs) is None
        silent = tmp_path / "nvidia-smi"  # a driver that does not answer
        silent.write_text("#!/bin/sh\nexec sleep 3\n")
        silent.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(gpus_module, "PATIENCE", 0.1)
    assert serve(None, needs=replace(needs, gpus=1)) is None


def test_a_search_begins_although_nobody_can_say_who_shares_its_gpus(tmp_path, monkeypatch):
    monkeypatch.setattr(bookings_module, "PATIENCE", 0.1)
    bookings = Bookings(tmp_path)
    with (tmp_path / "guard").open("w") as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        with gpus_announced(_slots("0"), search="first", bookings=bookings) as lines:
            assert lines == [
                "whether other searches use the same GPUs is not known: "
                f"{tmp_path}/guard is locked for 0.1 s"
            ]
