"""A search that is stopped for a while and goes on, and signals that it was started to ignore."""

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from kit import TINY, command, environment, running, script, search, steady, trials, wait_for

from search.execution.signals import signals_handled

pytestmark = pytest.mark.slow
PAUSE = 3.5  # longer than every limit of the search [s]
WORDS = ["seeds=1", "trainer.epochs=20", "name=one"]
LIMITS = ["trainer.epoch_timeout=2", "trainer.timeout=3", "placement.max_retries=0"]
LIMITED = [*(word for word in TINY if "max_retries" not in word), *WORDS, *LIMITS]


def has_trained(folder: Path) -> bool:
    curves = folder / "results" / "one" / "curves.jsonl"
    return curves.exists() and curves.read_bytes().count(b"\n") > 10


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("undisturbed")
    assert search(*LIMITED, cwd=cwd, TOY_PAUSE="0").returncode == 0
    return steady(trials(cwd / "results" / "one"))


@pytest.mark.parametrize("company", ["with its workers", "alone"])
def test_a_search_that_was_suspended_charges_no_trial_for_it(company, undisturbed, tmp_path):
    with running(*LIMITED, cwd=tmp_path, TOY_PAUSE="0.02") as conductor:
        wait_for(lambda: has_trained(tmp_path), what="first epochs")
        whole = psutil.Process(conductor.pid)
        stopped = [whole]
        if company == "with its workers":
            stopped += whole.children(recursive=True)
        for process in stopped:
            process.suspend()
        until = time.monotonic() + PAUSE
        wait_for(lambda: time.monotonic() > until)
        for process in stopped:
            process.resume()
        said, _ = conductor.communicate(timeout=60)
    assert conductor.returncode == 0, said
    assert not [words for words in ("hung", "trying again", "took longer") if words in said]
    assert steady(trials(tmp_path / "results" / "one")).equals(undisturbed)


def test_a_search_started_to_ignore_signals_goes_on_after_them(tmp_path):
    """`nohup` has SIGHUP ignored, a shell's script the SIGINT of what it starts behind itself."""
    words = [*TINY, *WORDS, "placement.slots=1"]
    shell = ["sh", "-c", "trap '' HUP INT; exec \"$@\"", "sh", *command(*words)]
    process = psutil.Popen(shell, cwd=tmp_path, env=environment(TOY_PAUSE="0.05"))
    try:
        wait_for(lambda: has_trained(tmp_path), seconds=60, what="first epochs")
        for number in (signal.SIGHUP, signal.SIGINT):
            process.send_signal(number)
        assert process.wait(timeout=60) == 0
    finally:
        if process.is_running():
            process.kill()
            process.wait()
    assert set(trials(tmp_path / "results" / "one")["state"]) <= {"complete", "infeasible"}


def test_a_search_whose_terminal_closes_ends_in_order(tmp_path):
    """It says that it stops, on a terminal that takes no line any more, and writes its tables."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command(*TINY, *WORDS, "placement.slots=1")],
        cwd=tmp_path,
        env=environment(TOY_PAUSE="0.1"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        wait_for(lambda: has_trained(tmp_path), seconds=60, what="first epochs")
        os.close(ours)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "results" / "one" / "trials.csv").exists()


LATE = """
import os
import signal
import sys

number, file = int(sys.argv[1]), sys.argv[2]
put_in_place = os.replace

def replace(fresh, path, **options):
    if os.path.basename(path) == file:
        os.kill(os.getpid(), number)
    put_in_place(fresh, path, **options)

os.replace = replace
del sys.argv[1:3]
from search.__main__ import exit_with_main

if __name__ == "__main__":
    exit_with_main()
"""


@pytest.mark.parametrize(
    ("number", "file"),
    [(signal.SIGINT, "trials.csv"), (signal.SIGTERM, "best.yaml"), (signal.SIGHUP, "summary.md")],
)
def test_a_signal_while_the_answer_is_written_is_told_and_the_same_command_writes_the_rest(
    number, file, undisturbed, tmp_path
):
    (tmp_path / "late.py").write_text(LATE)
    done = script("late.py", str(int(number)), file, *LIMITED, cwd=tmp_path, TOY_PAUSE="0")
    assert done.returncode == 130, done.stdout + done.stderr
    assert "the same command begins, or goes on [interrupted]" in done.stderr
    folder = tmp_path / "results" / "one"
    assert not (folder / file).exists()
    assert search(*LIMITED, cwd=tmp_path, TOY_PAUSE="0").returncode == 0
    assert steady(trials(folder)).equals(undisturbed)
    assert (folder / file).exists()
    assert not list(folder.glob("*.new"))


def test_a_fork_of_the_program_is_ended_by_sigterm_as_any_process():
    """As the workers of a user's `multiprocessing.Pool`, which printed an error each."""
    ready, begun = os.pipe()
    with signals_handled(signal.default_int_handler):
        if (child := os.fork()) == 0:
            try:
                os.write(begun, b"x")
                signal.pause()
            finally:
                os._exit(1)
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        status = os.waitpid(child, 0)[1]
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
