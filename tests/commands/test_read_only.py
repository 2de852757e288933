"""Verbs on results that may not be written: those that only read work, the others advise what does help."""

import shutil

import pytest
from full_disk import can_mount, mounts
from refusals import check_told

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="needs a mount namespace of its own"),
]
# By words: the exit code, and what the refusal names as the way out.
CASES = {
    "table smoke": (0, ""),
    "report smoke": (2, "--to FILE"),
    "report smoke --to page.html": (0, ""),
    "export smoke": (2, "--to FILE"),
    "test smoke": (2, "copy the search's folder"),
    "train results/smoke/best.yaml": (2, "choose another results_root="),
    "train results/smoke/best.yaml results_root=other": (0, ""),
}


def test_every_verb_on_read_only_results_works_or_advises_what_then_works(smoke):
    shutil.rmtree(smoke / "results" / "smoke-train", ignore_errors=True)
    with mounts(smoke) as there:
        there.shell("mount --bind results results && mount -o remount,ro,bind results")
        for words, (code, remedy) in CASES.items():
            done = there.search(*words.split())
            assert done.returncode == code, words + done.stdout + done.stderr
            if code:
                check_told(done.stderr, "disk-refuses", remedy)
        there.shell("cp -r results elsewhere")
        done = there.search("test", "smoke", "results_root=elsewhere")
        assert "test accuracy" in done.stdout, done.stdout + done.stderr
