"""Processes of another user, in a folder of their own: a node that shares nothing with the conductor."""

import os
import pwd
import subprocess
import sys
import tempfile

import psutil

NAME = "nobody"
READS_ALL = "+dac_read_search"  # this Python may lie where that user may not read


def start_stranger(*words: str, **variables: str) -> "subprocess.Popen[bytes]":
    """Runs `python WORDS` as another user if this one is root; `{own}` in a word is its folder."""
    own = tempfile.mkdtemp()
    command = [sys.executable, *(word.format(own=own) for word in words)]
    if not os.getuid():
        other = pwd.getpwnam(NAME)
        os.chown(own, other.pw_uid, other.pw_gid)
        command = [
            "setpriv",
            f"--reuid={other.pw_uid}",
            f"--regid={other.pw_gid}",
            "--clear-groups",
            f"--inh-caps={READS_ALL}",
            f"--ambient-caps={READS_ALL}",
            *command,
        ]
    return subprocess.Popen(
        command,
        cwd=own,
        env={**os.environ, "HOME": own, "TMPDIR": own, **variables},
        stdout=subprocess.DEVNULL,
        stderr=sys.stderr,
    )


def end_processes(process: "subprocess.Popen[bytes]") -> None:
    """Kills it and all that it has started."""
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()
    process.wait()
