"""Whether the code that a config names can be imported and built: asked in a process of its own, before anything is written.

The search's own process stays without torch and without the user's modules. Never trains.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from search.configs import TrialConfigs, trainer_config
from search.errors import UsageError
from search.knobs import Value
from search.plan import Plan
from trainers.callable import rehearse

ALONE = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}  # nothing is trained, so no GPU is touched


@contextmanager
def rehearsed(plan: Plan) -> Iterator[None]:
    """Rehearses the baseline while the block runs, since both take a second or two; the block's own errors come first.

    Raises:
        UsageError: the trainer, or what it is to build, cannot be imported or built, or a knob changes nothing.
    """
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
    asked = json.dumps({"baseline": with_knobs(), "values": values, "shape": shape})
    process = subprocess.Popen(
        [sys.executable, "-m", "search.rehearsal", asked],
        env={**os.environ, **ALONE},
        stdin=subprocess.DEVNULL,
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


def main() -> int:
    """The other process: exit 1, and a last line of output with the error, where what is asked cannot be carried out."""
    asked = json.loads(sys.argv[1])
    try:
        shape = asked["shape"]
        if rehearse(asked["baseline"], shape) is not None:
            for path, configs in asked["values"].items():
                told = {rehearse(config, shape) for config in configs}
                if len(told) == 1 and None not in told:
                    raise UsageError(
                        f"space.{path}: a knob must have an effect, but got one and the same training at all of its values; "
                        "drop it, or link what should follow it"
                    )
    except UsageError as error:
        print(error)
        return 1
    except Exception as error:  # noqa: BLE001  # a user's module or class may raise anything
        print(f"the trainer cannot be built: {type(error).__name__}: {' '.join(str(error).split())}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
