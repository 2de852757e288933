"""Carries out a dry run in a process of its own or in a fork of a worker.

Never sees the data, never trains more than two steps, never touches a GPU.
"""

import itertools
import json
import os
import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypedDict

from msgspec import structs

from search.execution import process_guard as guard

if __name__ == "__main__":
    ARGUMENTS = guard.enter()

from search.errors import shortened
from search.execution.link import Link
from search.execution.messages import DryRunAnswer, DryRunQuestions, Message
from trainers.api import Config
from trainers.callable import rehearse
from trainers.mentions import named_files, unmentioned

ALONE = {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
}  # nothing is trained, so no GPU is touched
END = b"\n"  # of an answer
PAUSE = 0.1  # seconds between two checks whether a silent fork still lives


class Questions(TypedDict):
    """What is asked: `baseline` and `values` (by knob) are configs of trials.

    `beside`: knobs that are tuned beside another one. `shipped`: by path, the shipped value of each
    setting that was changed. `shape`: of the data. `keys`: that the code should mention.
    `endings`: of data files, where the code reads them itself.
    """

    baseline: Config
    values: dict[str, list[Config]]
    beside: list[str]
    shipped: dict[str, Any]
    shape: list[Any]
    keys: list[str]
    endings: list[str]


def answer(asked: Questions) -> DryRunAnswer:
    """Whether all can be built, and what acts on the training."""
    wrong, alike = "", ""
    try:
        alike = _alike(asked)
    except Exception as error:  # noqa: BLE001  # a user's module or class may raise anything
        message = shortened(str(error))
        names_its_key = message.partition(".")[0] in asked["baseline"]
        cause = "" if names_its_key else f"the trainer cannot be built: {type(error).__name__}: "
        wrong = f"{cause}{message}"
    if wrong or alike:
        return DryRunAnswer(wrong=wrong, alike=alike)
    unread, files = _read_off_the_code(asked)
    return DryRunAnswer(wrong="", unread=unread, inert=_inert(asked), files=files)


def _written(asked: Questions) -> str:
    """The answer as a line of JSON."""
    return json.dumps(structs.asdict(answer(asked)))


def _read_off_the_code(asked: Questions) -> tuple[list[str], list[str]]:
    """The keys that it does not mention, and the files with data that it names."""
    baseline, endings = asked["baseline"], tuple(asked["endings"])
    try:
        unread = unmentioned(baseline, asked["keys"])
        return unread, named_files(baseline, endings) if endings else []
    except Exception:  # noqa: BLE001  # nothing depends on it
        return [], []


def _alike(asked: Questions) -> str:
    """The first knob at all of whose values the training is one and the same; empty if none is."""
    shape = asked["shape"]
    if rehearse(asked["baseline"], shape) is None:
        return ""
    for path, configs in asked["values"].items():
        trainings = {rehearse(config, shape) for config in configs}
        if path in asked["beside"]:  # it may act at another value of the knob that it is tuned for
            continue
        if len(trainings) == 1 and None not in trainings:
            return str(path)
    return ""


def _inert(asked: Questions) -> list[str]:
    """A line per setting that is not the shipped one, and trains alike in all configs."""
    configs = [asked["baseline"], *itertools.chain.from_iterable(asked["values"].values())]
    lines = []
    for path, shipped in asked["shipped"].items():
        group, key = path.split(".")
        if all(_same(config, group, key, shipped, asked["shape"]) for config in configs):
            value = asked["baseline"][group][key]
            lines.append(
                f"{path}: {value} has no effect here, it trains as {json.dumps(shipped)} does"
            )
    return lines


def _same(config: dict[str, Any], group: str, key: str, value: Any, shape: Sequence[Any]) -> bool:
    """Whether a config trains alike with another value of a key, or has no such key."""
    if key not in (config.get(group) or {}):
        return True
    try:
        training = rehearse(config, shape)
        changed = {**config, group: {**config[group], key: value}}
        return training is not None and training == rehearse(changed, shape)
    except Exception:  # noqa: BLE001  # the shipped value does not fit here: the setting acts
        return False


def after_dry_runs(link: Link) -> Message:
    """Answers what is asked for dry runs, in copies of this process; the first other message.

    Raises:
        EOFError, OSError: who asks has gone.
    """
    message = link.receive()
    while isinstance(message, DryRunQuestions):
        with answered_in_copy(message.questions) as answer:
            link.send(answer)
        message = link.receive()
    return message


@contextmanager
def answered_in_copy(questions: str) -> Iterator[DryRunAnswer]:
    """As `answer`, in a fork of this process.

    After the block the fork and its children are gone. Call it before there are threads and before
    a GPU is touched, since a fork can use neither.
    """
    reading, writing = os.pipe()
    copy = os.fork()
    if not copy:
        os.close(reading)
        _answer_to(writing, json.loads(questions))
    os.close(writing)
    reply, ended = b"", False
    while not reply.endswith(END) and not ended:
        if select.select([reading], [], [], PAUSE)[0]:
            more = os.read(reading, 2**16)
            reply, ended = reply + more, not more
        else:  # its children may hold the pipe open and never write
            ended = os.waitid(os.P_PID, copy, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    os.close(reading)
    try:
        told = json.loads(reply) if reply.endswith(END) else {"wrong": None}
        yield DryRunAnswer(**told)
    finally:
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
        guard.kill_children()


def _answer_to(writing: int, asked: Questions) -> NoReturn:
    """Life of the fork. It stays a main process, as a user's module may check."""
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = ALONE["CUDA_VISIBLE_DEVICES"]
        silent = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(silent, stream)
        os.write(writing, _written(asked).encode() + END)
    finally:
        os._exit(0)


if __name__ == "__main__":
    with os.fdopen(int(ARGUMENTS[0])) as file:
        print("\n" + _written(json.load(file)), flush=True)
    os._exit(0)  # at once: threads of a user's module must not hold up the answer
