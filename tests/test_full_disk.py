"""A disk that is really full: no trial is charged, and the same command goes on with every trial."""

import shlex
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from kit import TINY, command, environment, search, steady, trials

HEAVY = [
    *TINY,
    "trainer._target_=toys.heavy",
    "protocol.most_seeds=1",
    "trainer.epochs=6",
    "placement.max_retries=0",
]
HEAVY = [word for word in HEAVY if word != "trainer._target_=toys.steady"]
NAMESPACE = ["unshare", "-Urm", "bash", "-c"]


def _can_mount():
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        [*NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not _can_mount(), reason="needs a mount namespace of its own")
def test_a_full_disk_ends_the_search_and_no_trial_and_the_same_command_goes_on(tmp_path):
    calm = search(*HEAVY, "name=calm", cwd=tmp_path)
    assert calm.returncode == 0, calm.stdout + calm.stderr
    (tmp_path / "results" / "own_trainer").mkdir()
    place = f"{tmp_path}/results/own_trainer"
    words = shlex.join(command(*HEAVY))
    script = f"""
        mount -t tmpfs -o size=5m tmpfs {place}
        {words}; echo "first: $?"
        cp {place}/trials.csv first.csv
        mount -o remount,size=64m {place}
        {words}; echo "second: $?"
        cp -r {place} results/kept
    """
    done = subprocess.run(
        [*NAMESPACE, script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout + done.stderr
    assert "first: 1" in done.stdout, told
    assert "No space left on device; free some space and give the same command again" in told
    assert "second: 0" in done.stdout, told
    assert not {"failed", "lost"} & set(pd.read_csv(tmp_path / "first.csv").state)
    pd.testing.assert_frame_equal(
        steady(trials(tmp_path / "results" / "kept")),
        steady(trials(tmp_path / "results" / "calm")),
    )
