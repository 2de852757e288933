"""Shares of GPUs and CPUs on a node: never more than the whole, whoever asks, and nothing stays after a kill."""

import subprocess
import sys
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from search.execution.placement.bookings import Bookings

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


@settings(max_examples=30, deadline=None)
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
