"""The dry run: can everything in the config be imported and built, does every knob act?

It runs before anything is written, in another process: the search's own process loads neither
torch nor the user's modules. A process that has started early, a worker or that of a probe, has
torch already and answers; where there is none, one is started for it.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from search.config.check_keys import changed_settings, unusual_keys
from search.config.foreign_code import resolved
from search.config.hidden_modules import is_hidden, named_in
from search.config.knobs import Value
from search.config.plan import Plan
from search.config.text import one_line
from search.config.trial_config import TrialConfigs
from search.errors import UsageError, refused
from search.execution.messages import DryRunAnswer, DryRunQuestions, Message, MessageError
from search.execution.process_guard import GuardedProcess, spawn_guarded
from search.execution.running_trial import SLOW_START
from search.execution.worker.dry_run import ALONE, Questions
from trainers.settings import flat

# What Python says where a file of that name stands in place of the module that it needs.
IMPORTING = re.compile(r"ImportError|ModuleNotFoundError|cannot be imported|has no attribute")

DATA_ENDINGS = (
    *(".csv", ".tsv", ".jsonl", ".parquet", ".feather", ".arrow"),
    *(".npy", ".npz", ".h5", ".hdf5", ".pt", ".pkl"),
)


class Early(Protocol):
    """Processes that have started early: the workers of a search, or that of a probe."""

    def ask(
        self, message: Message, *, seconds: float, slow: Callable[[], None]
    ) -> DryRunAnswer | None:
        """The answer of one of them; None if it ends before.

        Args:
            seconds: time for the answer.
            slow: called once if the answer takes longer than SLOW_START.

        Raises:
            TimeoutError: there was no answer in time.
        """


@contextmanager
def dry_run(
    plan: Plan, *, early: Early | None = None, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """A dry run of the baseline and the knobs; errors of the block come first.

    `early`: processes that are starting, and answer after the block; without them, one of its own
    answers while the block runs. `say` hears which settings the user's code does not mention.

    Raises:
        UsageError: something cannot be imported or built, or a knob changes nothing.
    """
    if early is None:
        with _in_a_process(plan) as answered:
            yield
            answer = answered()
    else:
        yield
        answer = _from_early(plan, early) or _from_a_process(plan)
    if answer.wrong:
        if IMPORTING.search(answer.wrong) and (path := named_in(answer.wrong)):
            raise is_hidden(path)
        raise UsageError(answer.wrong, code="dry-run-failed")
    if answer.alike:
        raise refused(
            f"space.{answer.alike}",
            code="knob-trains-alike",
            rule="a knob must have an effect",
            got="one and the same training at all of its values",
            remedy="drop it, or link what should follow it",
        )
    if say is None:
        return
    if answer.unread:
        say(unread_words(plan, answer.unread))
    for line in [*answer.inert, *unwatched_files(plan, answer.files)]:
        say(line)


def unwatched_files(plan: Plan, in_code: Sequence[str] = ()) -> list[str]:
    """A note that a change of files with data, which the user's own code or its config names, is
    noticed only where `data.files` has them.
    """
    data = plan.config.data
    if data.get("_target_") is not None:
        return []
    known = [*map(str, data.get("files") or ()), *filter(None, [data.get("labels")])]
    places = [Path(path).resolve() for path in known]
    leaves = flat(resolved(plan.config)).values()
    parts = [part for leaf in leaves for part in (leaf if isinstance(leaf, list) else [leaf])]
    words = [str(part).rpartition("=")[2] for part in parts]
    named = [Path(word) for word in words if word.lower().endswith(DATA_ENDINGS)]
    paths = [path for path in (*named, *map(Path, in_code)) if path.is_file()]
    names = dict.fromkeys(
        str(path) for path in paths if not any(map(path.resolve().is_relative_to, places))
    )
    if not names:
        return []
    return [
        f"the config or your code names {', '.join(names)}: whether that changes, is seen only "
        f"with 'data.files=[{','.join([*map(str, data.get('files') or ()), *names])}]'"
    ]


def unread_words(plan: Plan, keys: Sequence[str]) -> str:
    """That no code names some settings, and what to do where the search turns one of them."""
    turned = [knob.path for knob in plan.knobs if knob.path in keys]
    text = (
        f"nothing in your code mentions {', '.join(keys)}: "
        "a setting that nobody reads has no effect"
    )
    if not turned:
        return text
    way = f"; put {{{turned[0]}}} into trainer.command" if "command" in plan.config.trainer else ""
    return f"{text}, and this search turns {', '.join(turned)}{way}"


def _from_early(plan: Plan, early: Early) -> DryRunAnswer | None:
    """The answer of such a process; None if it has died."""
    message, limit = DryRunQuestions(questions=json.dumps(questions(plan))), _limit(plan)
    try:
        reply = early.ask(message, seconds=limit, slow=lambda: _say_slow(limit))
    except MessageError:  # more than a message holds
        return None
    except TimeoutError as error:
        raise _hangs(limit) from error
    return None if reply is None or reply.wrong is None else reply


def _from_a_process(plan: Plan) -> DryRunAnswer:
    """The answer of a process that begins now."""
    with _in_a_process(plan) as answered:
        return answered()


@contextmanager
def _in_a_process(plan: Plan) -> Iterator[Callable[[], DryRunAnswer]]:
    """A process that is asked; within the block, waits for its answer."""
    with (
        tempfile.TemporaryFile("w+") as asked,
        tempfile.TemporaryFile("w+", errors="replace") as printed,
    ):
        json.dump(questions(plan), asked)
        asked.seek(0)
        with spawn_guarded(
            "search.execution.worker.dry_run",
            str(asked.fileno()),
            environment=ALONE,
            output=printed,
            inherited=[asked.fileno()],
        ) as process:
            yield lambda: _answer_of(process, printed, limit=_limit(plan))


def _answer_of(process: GuardedProcess, printed: IO[str], *, limit: float) -> DryRunAnswer:
    """The last line that a process prints; what else that is, tells why there is no answer."""
    _await(process, limit=limit)
    printed.seek(0)
    text = printed.read().strip()
    last = text.splitlines()[-1] if text else ""
    with suppress(ValueError, TypeError):  # no JSON, or not ours
        return DryRunAnswer(**json.loads(last))
    return DryRunAnswer(wrong=one_line(last) or "the trainer cannot be built: it ended at once")


def _await(process: GuardedProcess, *, limit: float) -> None:
    """Waits for the end, with a line for the user while that takes long."""
    try:
        process.wait(min(SLOW_START, limit))
    except subprocess.TimeoutExpired:
        _say_slow(limit)
        try:
            process.wait(max(0.0, limit - SLOW_START))
        except subprocess.TimeoutExpired as error:
            raise _hangs(limit) from error


def _limit(plan: Plan) -> float:
    """The time that importing and building may take [s]: that of an epoch."""
    return plan.limits.epoch_timeout


def _say_slow(limit: float) -> None:
    print(
        f"the trainer and the model are still being imported and built after {SLOW_START:g} s; "
        f"the search gives up after trainer.epoch_timeout={limit:g} s",
        file=sys.stderr,
        flush=True,
    )


def _hangs(limit: float) -> UsageError:
    return refused(
        "trainer.epoch_timeout",
        code="build-has-no-end",
        rule="the trainer and the model are imported and built within it",
        got=f"no end within {limit:g} s",
        remedy="mend what hangs, or raise it",
    )


def questions(plan: Plan) -> Questions:
    """The baseline's config, the configs of each knob's values or ends, and the data's shape."""
    baseline, values = configs_of(plan)
    data = plan.config.data
    keys = ("features", "vocabulary", "steps", "target_steps")
    sequences, heads = {key: data.get(key) for key in keys}, dict(data.get("heads") or {})
    shape = [data.get("inputs"), data.get("outputs"), data.task, sequences, heads]
    return {
        "baseline": baseline,
        "values": values,
        "beside": [knob.path for knob in plan.knobs if knob.nuisance],
        "shipped": changed_settings(plan.config),
        "shape": shape,
        "keys": unusual_keys(plan.config),
        "endings": [] if data.get("_target_") else list(DATA_ENDINGS),
    }


def configs_of(plan: Plan) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The baseline's config, and those of each knob's values or ends, by the knob's path."""
    configs = TrialConfigs(plan.config)

    def with_knobs(**knobs: Value) -> dict[str, Any]:
        return configs.resolve(knobs=knobs, seed=plan.seed)

    return with_knobs(), {
        knob.path: [
            with_knobs(**dict([knob.choice] if knob.choice else []), **{knob.path: value})
            for value in (knob.choices or knob.ends)
        ]
        for knob in plan.knobs
    }
