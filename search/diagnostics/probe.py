"""Asks a training what `trainers.probes` can ask, in a process of its own, as in a worker.

The search's own process stays without torch and the user's modules. Test rows never come here (R8).
Never judges.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.config.plan import Plan
from search.config.trial_config import TrialConfigs
from search.errors import RunError
from search.execution.process_guard import spawn_guarded
from search.execution.slots import Slot
from search.storage.logs import log_tail
from trainers.probes import SCRATCH


@contextmanager
def probed(
    plan: Plan, folder: Path, *, slot: Slot, wanted: dict[str, Any]
) -> Iterator[Callable[[], Any]]:
    """Asks while the block runs; the answers are waited for when they are called for.

    `folder` holds `arrays/`, and gets `probes.log`, what the training printed. `wanted`: arguments
    of `search.diagnostics.probe_process.answer`, which says what its answers are.

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
    answers_file, log = folder / "answers.json", folder / "probes.log"
    answers_file.unlink(missing_ok=True)
    (folder / "asked.json").write_text(json.dumps(asked))
    with log.open("w") as output:
        process = spawn_guarded(
            "search.diagnostics.probe_process",
            str(folder),
            environment=slot.environment(),
            output=output,
        )

    def answers() -> Any:
        try:
            status = process.wait(plan.limits.epoch_timeout)
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

    with process:
        try:
            yield answers
        finally:
            for name in ("answers.json", "asked.json"):
                (folder / name).unlink(missing_ok=True)
            for left in folder.glob(f"{SCRATCH}*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
