"""Whether the code that a config names can be imported and built, and whether every knob changes the training.

Asked in a process of its own, before anything is written: the search's own process stays without torch and the user's modules.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from search.configs import TrialConfigs, trainer_config
from search.errors import UsageError
from search.knobs import Value
from search.plan import Plan
from trainers.callable import rehearse

ALONE = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}  # nothing is trained, so no GPU is touched
Questions = dict[str, Any]


@contextmanager
def rehearsed(plan: Plan) -> Iterator[None]:
    """Rehearses the baseline and the knobs while the block runs, since both take seconds; the block's own errors come first.

    Raises:
        UsageError: the trainer, or what it is to build, cannot be imported or built, or a knob changes nothing.
    """
    with tempfile.TemporaryFile("w+") as asked:
        json.dump(questions(plan), asked)
        asked.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "search.rehearsal"],
            env={**os.environ, **ALONE},
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            try:
                yield
                told, _ = process.communicate()
            finally:
                process.kill()
    if process.returncode != 0:
        raise UsageError(told.strip().splitlines()[-1] if told.strip() else "the trainer cannot be built: it ended at once")


def questions(plan: Plan) -> Questions:
    """The baseline's config, those of each knob's values (of a range its ends), and the shape of the data."""
    configs = TrialConfigs(plan.config)

    def with_knobs(**knobs: Value) -> dict[str, Any]:
        return trainer_config(configs.resolve(knobs=knobs, seed=plan.seed))

    values = {
        knob.path: [
            with_knobs(**dict([knob.choice] if knob.choice else []), **{knob.path: value})
            for value in (knob.choices or (knob.at(knob.low), knob.at(knob.high)))
        ]
        for knob in plan.knobs
    }
    shape = [plan.config.data.get("inputs"), plan.config.data.get("outputs"), plan.config.data.task]
    return {"baseline": with_knobs(), "values": values, "shape": shape}


def answer(asked: Questions) -> str:
    """What is wrong, or nothing."""
    shape = asked["shape"]
    try:
        if rehearse(asked["baseline"], shape) is None:
            return ""
        for path, configs in asked["values"].items():
            told = {rehearse(config, shape) for config in configs}
            if len(told) == 1 and None not in told:
                return (
                    f"space.{path}: a knob must have an effect, but got one and the same training at all of its values; "
                    "drop it, or link what should follow it"
                )
    except Exception as error:  # noqa: BLE001  # a user's module or class may raise anything
        return f"the trainer cannot be built: {type(error).__name__}: {' '.join(str(error).split())}"
    return ""


if __name__ == "__main__":
    wrong = answer(json.load(sys.stdin))
    if wrong:
        print(wrong)
    sys.exit(1 if wrong else 0)
