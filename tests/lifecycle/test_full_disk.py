"""A disk that is really full, the search's or a node's: no trial is charged, and the same command goes on with every trial."""

import re

import pandas as pd
import pytest
from full_disk import can_mount, mounts
from kit import TINY, steady, trials, undisturbed

HEAVY = [
    *TINY,
    "trainer._target_=toys.heavy",
    "protocol.most_seeds=1",
    "trainer.epochs=6",
    "placement.max_retries=0",
]
HEAVY = [word for word in HEAVY if word != "trainer._target_=toys.steady"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="needs a mount namespace of its own"),
]
FULL = "No space left on device"


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The table of an undisturbed search."""
    return steady(trials(undisturbed(*HEAVY, cwd=tmp_path_factory.mktemp("calm"))))


def test_a_full_disk_ends_the_search_and_no_trial_and_the_same_command_goes_on(calm, tmp_path):
    place = tmp_path / "results" / "own_trainer"
    place.mkdir(parents=True)
    with mounts(tmp_path) as there:
        there.shell(f"mount -t tmpfs -o size=5m tmpfs {place}")
        done = there.search(*HEAVY)
        assert done.returncode == 1, done.stdout + done.stderr
        assert FULL in done.stderr
        # which is told first
        assert re.search(r" \[(disk-is-full|machine-fault)\]\n", done.stderr), done.stderr
        there.shell(f"cp {place}/trials.csv first.csv; mount -o remount,size=64m {place}")
        done = there.search(*HEAVY)
        assert done.returncode == 0, done.stdout + done.stderr
        there.shell(f"cp -r {place} results/kept")
    assert not {"failed", "lost"} & set(pd.read_csv(tmp_path / "first.csv").state)
    pd.testing.assert_frame_equal(steady(trials(tmp_path / "results" / "kept")), calm)


def test_a_disk_without_room_for_the_rows_is_full_and_the_same_command_begins(tmp_path):
    place = tmp_path / "results" / "smoke"
    place.mkdir(parents=True)
    with mounts(tmp_path) as there:
        there.shell(f"mount -t tmpfs -o size=300k tmpfs {place}")
        done = there.search("smoke", "report=off")
        printed = done.stdout + done.stderr
        assert done.returncode == 1, printed
        assert printed.count(FULL) == printed.count(" [disk-is-full]\n") == 1, printed
        there.shell(f"mount -o remount,size=64m {place}")
        done = there.search("smoke", "report=off")
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_full_disk_of_a_node_ends_the_search_and_no_trial_and_the_same_command_goes_on(
    calm, tmp_path
):
    node = tmp_path / "node"
    node.mkdir()
    words = ["placement=ray", "placement._target_=here.Here", "placement.shared=false"]
    with mounts(tmp_path) as there:
        for room, prepare in (
            ("no rows", f"mount -t tmpfs -o size=64m,nr_inodes=12 tmpfs {node}"),
            ("no checkpoints", f"umount {node}; mount -t tmpfs -o size=5m tmpfs {node}"),
        ):
            there.shell(prepare)
            done = there.search(*HEAVY, *words, TMPDIR=str(node))
            printed = room + done.stdout + done.stderr
            assert done.returncode == 1, printed
            assert printed.count(FULL) == printed.count(" [machine-fault]\n") == 1, printed
        there.shell(
            f"cp results/own_trainer/trials.csv first.csv; mount -o remount,size=64m {node}"
        )
        done = there.search(*HEAVY, *words, TMPDIR=str(node))
        assert done.returncode == 0, done.stdout + done.stderr
    assert not {"failed", "lost"} & set(pd.read_csv(tmp_path / "first.csv").state)
    pd.testing.assert_frame_equal(steady(trials(tmp_path / "results" / "own_trainer")), calm)
