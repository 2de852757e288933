"""Verbs on results that may not be written: those that only read work, the others advise what does help."""

import shlex
import shutil

import pytest
from full_disk import can_mount, mounting
from kit import command

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
    script = ["mount --bind results results && mount -o remount,ro,bind results"]
    for words in CASES:
        line = shlex.join(command(*words.split()))
        script.append(f'{line} > out 2> err; echo "{words}: $? $(tail -n 1 err)"')
    told = dict(line.split(": ", 1) for line in mounting("\n".join(script), smoke).splitlines())
    for words, (code, remedy) in CASES.items():
        assert told[words].startswith(f"{code} "), told[words]
        assert remedy in told[words], told[words]
        assert (code == 2) == told[words].endswith("[disk-refuses]"), told[words]
    copied = "cp -r results elsewhere && " + shlex.join(
        command("test", "smoke", "results_root=elsewhere")
    )
    assert "test accuracy" in mounting(copied, smoke)
