"""Asks a training what `trainers.probes` can ask, in a process of its own, as in a worker.

The search's own process stays without torch and the user's modules. Test rows never come here (R8).
Never judges.
"""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.config.plan import Plan
from search.config.trial_config import TrialConfigs
from search.errors import RunError
from search.execution.link import Link
from search.execution.messages import DryRunAnswer, Message, ProbeWanted
from search.execution.process_guard import STUCK, GuardedProcess, spawn_guarded
from search.execution.running_trial import SLOW_START
from search.execution.slots import Slot
from search.storage.folder import PROBES_LOG
from search.storage.logs import log_tail
from trainers.probes import SCRATCH


class Probe:
    """The process: does dry runs, as an early worker (`dry_run.Early`), and then looks once."""

    def __init__(self, process: GuardedProcess, link: Link) -> None:
        self._process, self._link = process, link

    def ask(
        self, message: Message, *, seconds: float, slow: Callable[[], None]
    ) -> DryRunAnswer | None:
        """As `dry_run.Early.ask`."""
        connection = self._link.socket
        try:
            connection.settimeout(seconds)
            self._link.send(message)
            connection.settimeout(min(SLOW_START, seconds))
            try:
                answer = self._link.receive()
            except TimeoutError:
                if seconds <= SLOW_START:
                    raise
                slow()
                connection.settimeout(seconds - SLOW_START)
                answer = self._link.receive()
        except TimeoutError:
            raise
        except (EOFError, OSError):  # it has ended
            return None
        finally:
            connection.settimeout(None)
        return answer if isinstance(answer, DryRunAnswer) else None

    def look(self, folder: Path) -> None:
        """Has it look at what `folder` asks; if it has ended, `wait` says so."""
        with suppress(OSError):
            self._link.send(ProbeWanted(folder=str(folder)))

    def wait(self, seconds: float) -> int:
        """Its exit status, once it has looked.

        Raises:
            subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        return self._process.wait(seconds)

    def end(self) -> None:
        """It writes nothing more."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # nobody can end it
            self._process.wait(STUCK)


@contextmanager
def started_probe(slot: Slot) -> Iterator[Probe]:
    """A process that imports torch, and can be asked while the block runs."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = spawn_guarded(
                "search.diagnostics.probe_process",
                str(theirs.fileno()),
                environment=slot.environment(),
                output=subprocess.DEVNULL,  # until it knows its log
                inherited=[theirs.fileno()],
            )
        with process:
            yield Probe(process, Link(ours))


@contextmanager
def probed(
    plan: Plan, folder: Path, *, slot: Slot, wanted: dict[str, Any], early: Probe | None = None
) -> Iterator[Callable[[], Any]]:
    """Asks while the block runs; the answers are waited for when they are called for.

    Args:
        plan: of whose training.
        folder: holds `arrays/`, and gets `probes.log`, what the training printed.
        slot: where it trains.
        wanted: arguments of `search.diagnostics.probe_process.answer`, which says what its answers
            are.
        early: a process in this slot that has started before; None for one that starts now.

    Raises, when called for:
        RunError: the process ended without an answer, or took longer than `trainer.epoch_timeout`.
    """
    config = TrialConfigs(plan.config).resolve(knobs={}, seed=plan.seed)
    asked = {
        "config": config,
        "folder": str(folder),
        "device": slot.device,
        "task": plan.config.data.task,
        "metric": asdict(plan.metric),
        **wanted,
    }
    answers_file, log = folder / "answers.json", folder / PROBES_LOG
    answers_file.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    (folder / "asked.json").write_text(json.dumps(asked))
    with started_probe(slot) if early is None else nullcontext(early) as probe:
        probe.look(folder)

        def answers() -> Any:
            try:
                status = probe.wait(plan.limits.epoch_timeout)
            except subprocess.TimeoutExpired as error:
                limit = f"{plan.limits.epoch_timeout:g} s (trainer.epoch_timeout)"
                raise RunError(
                    f"the training could not be looked at within {limit}; raise it, or see {log}",
                    code="training-hangs-when-looked-at",
                ) from error
            if not answers_file.exists():
                raise RunError(
                    "the training could not be looked at: its process ended with "
                    f"{status}; mend what its last lines say, or see {log}\n{log_tail(log)}",
                    code="training-ends-when-looked-at",
                )
            return json.loads(answers_file.read_text(encoding="utf-8"))

        try:
            yield answers
        finally:
            probe.end()
            for name in ("answers.json", "asked.json"):
                (folder / name).unlink(missing_ok=True)
            for left in folder.glob(f"{SCRATCH}*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
