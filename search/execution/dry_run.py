"""The rehearsal: can everything in the config be imported and built, does every knob act?

It runs before anything is written, in another process: the search's own process loads neither
torch nor the user's modules. A worker that has started early has torch already and answers; where
there is none, a process is started for it.
"""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from search.config.check_keys import unusual_keys
from search.config.knobs import Value
from search.config.plan import Plan
from search.config.trial_config import TrialConfigs, trainer_config
from search.errors import UsageError
from search.execution.connections import WorkerConnections
from search.execution.messages import MessageError
from search.execution.module_process import module_command
from search.execution.worker.dry_run import ALONE, Answer, Questions


@contextmanager
def dry_run(
    plan: Plan,
    *,
    early: WorkerConnections | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Rehearses the baseline and the knobs; errors of the block come first.

    `early`: workers that are starting, and answer after the block; without them, a process answers
    while the block runs. `say` hears which settings the user's code does not mention.

    Raises:
        UsageError: something cannot be imported or built, or a knob changes nothing.
    """
    answer: Answer = {}
    if early is None:
        with _in_a_process(plan, answer):
            yield
    else:
        yield
        try:
            reply = early.ask({"kind": "rehearse", "asked": questions(plan)}) or {}
        except MessageError:  # more than a message holds
            reply = {}
        answer |= reply.get("answer") or {}
        if not answer:
            with _in_a_process(plan, answer):
                pass
    if answer["wrong"]:
        raise UsageError(str(answer["wrong"]))
    if answer["unread"] and say is not None:
        say(
            f"nothing in your code mentions {', '.join(answer['unread'])}: "
            "a setting that nobody reads has no effect"
        )


@contextmanager
def _in_a_process(plan: Plan, answer: Answer) -> Iterator[None]:
    """Fills `answer` after the block: the last line that the process prints."""
    with (
        tempfile.TemporaryFile("w+") as asked,
        tempfile.TemporaryFile("w+", errors="replace") as printed,
    ):
        json.dump(questions(plan), asked)
        asked.seek(0)
        process = subprocess.Popen(
            module_command("search.execution.worker.dry_run"),
            env={**os.environ, **ALONE},
            stdin=asked,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
            # it stays a zombie, and keeps its process id, until its children are gone
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it has started
            process.wait()
        printed.seek(0)
        text = printed.read().strip()
    last = text.splitlines()[-1] if text else ""
    try:
        answer |= json.loads(last)
    except (ValueError, TypeError):
        answer["wrong"] = last or "the trainer cannot be built: it ended at once"


def questions(plan: Plan) -> Questions:
    """The baseline's config, the configs of each knob's values or ends, and the data's shape."""
    configs = TrialConfigs(plan.config)

    def with_knobs(**knobs: Value) -> dict[str, Any]:
        return trainer_config(configs.resolve(knobs=knobs, seed=plan.seed))

    values = {
        knob.path: [
            with_knobs(**dict([knob.choice] if knob.choice else []), **{knob.path: value})
            for value in (knob.choices or knob.ends)
        ]
        for knob in plan.knobs
    }
    shape = [plan.config.data.get("inputs"), plan.config.data.get("outputs"), plan.config.data.task]
    return {
        "baseline": with_knobs(),
        "values": values,
        "shape": shape,
        "keys": unusual_keys(plan.config),
    }
