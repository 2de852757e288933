"""Every key of the composed config with odd values: refused in one line, or accepted with an effect.

In this process, on the composed config itself: the checks of the door, without starting anything.
"""

import math
from contextlib import contextmanager
from pathlib import Path

import pytest
from omegaconf import OmegaConf, open_dict, read_write
from refusals import check_told, raises

from search.__main__ import main
from search.config.compose import compose_experiment
from search.config.config_file import load_config
from search.config.drift import flat_config
from search.config.plan import check_task, read_plan
from search.contract.contract import prepare
from search.contract.dataset import completed
from search.errors import SearchError
from search.execution.dry_run import questions
from search.execution.worker.dry_run import answer
from search.execution.worker_pool import slots_of

DELETED = object()
LONG = "x" * 10_000
ODD = [-1, 0, None, {}, math.inf, True, LONG, DELETED, 1e21, "٣"]
FEW = [-1, None, {}, math.inf, LONG, DELETED]  # a kind each, for the same checks on other keys
TEXTS = [LONG, "٣"]
# Keys at which any text means something: names, reasons, paths.
# Names, a reason, and what is looked for when the search begins.
FREE_TEXT = (
    "name", "results_root", "space.optimizer.lr.why", "distillation.teacher", "storage.url",
)  # fmt: skip
BUILT = ("augment", "model", "optimizer", "schedule", "loss", "trainer")
PREPARED = ("data", "split", "normalise", "metric")


def _keys(config):
    return [key for key in flat_config(config) if not key.startswith(("chosen", "choices"))]


@contextmanager
def _changed(config, key, value, *, usual):
    """The config while one key has another value, or is gone: a copy would take most of the time."""
    with read_write(config), open_dict(config):
        if value is DELETED:
            parent, _, name = key.rpartition(".")
            del (OmegaConf.select(config, parent) if parent else config)[name]
        else:
            OmegaConf.update(config, key, value, merge=False)
    yield
    with read_write(config), open_dict(config):
        OmegaConf.update(config, key, usual, merge=False)


def _problem(config, key, *, build):
    """The message of a config that is refused; empty for one that is accepted."""
    try:
        plan = read_plan(completed(config), root=Path.cwd())
        check_task(plan)
        slots_of(plan)
        if key.split(".")[0] in PREPARED:
            prepare(plan.config, metric=plan.metric)
        if build and key.split(".")[0] in BUILT:
            return answer(questions(plan)).wrong
    except SearchError as error:
        return str(error)
    return ""


def _wrong_answers(experiment, *, odd=ODD, build, beside=()):
    """Every key and odd value that is refused at length, or accepted though it cannot act; but for
    the keys that `beside` has alike.
    """
    base = compose_experiment(experiment, overrides=[], config_dir=None)
    as_composed = flat_config(base)
    keys = [key for key in _keys(base) if (key, as_composed[key]) not in beside]
    assert len(keys) > 40
    wrong = []
    for key in keys:
        for value in odd:
            with _changed(base, key, value, usual=as_composed[key]):
                message = _problem(base, key, build=build)
            is_long = len(message.splitlines()) > 1 or len(message) >= 2500
            must_fail = value in TEXTS and key not in FREE_TEXT and build
            must_fail |= value == math.inf and experiment != "own_trainer"  # its keys are its own
            if is_long or (must_fail and not message):
                wrong.append(f"{key}={str(value)[:20]}: {message}")
    assert flat_config(base) == as_composed  # every value stood alone
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["joint", "own_trainer"])  # `lr_sweep`: see the next test
def test_every_key_with_an_odd_value_is_refused_in_one_line_or_accepted(experiment):
    sweep = flat_config(compose_experiment("lr_sweep", overrides=[], config_dir=None))
    alike = [*sweep.items()] if experiment == "joint" else []  # read by the same checks
    assert _wrong_answers(experiment, odd=FEW, build=False, beside=alike) == []
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_every_key_with_every_odd_value_is_refused_before_anything_is_built_in_vain():
    assert _wrong_answers("lr_sweep", build=True) == []
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trainer.clip=None", ("wrong-type-or-range", "trainer.clip=null")),
        ("trainer.max_log_mb=1e400", ("wrong-type-or-range", "trainer.max_log_mb")),
        ("trainer.balance=1.5", ("wrong-type-or-range", "trainer.balance", "1.5")),
        ("trainer.fraction=0", ("wrong-type-or-range", "trainer.fraction", "0")),
        ("trainer.l1=-0.1", ("wrong-type-or-range", "trainer.l1", "-0.1")),
        ("trainer.max_norm=true", ("wrong-type-or-range", "trainer.max_norm", "True")),
        (
            "data.impute=true",
            ("unknown-choice", "data.impute", "'True'"),
        ),
        ("preflight.allow=5", ("wrong-type-or-range", "preflight.allow")),
        (
            "space.optimizer.lr.points=1e21",
            ("wrong-type-or-range", "space.optimizer.lr.points", "1000"),
        ),
        ("~metric", ("wrong-type-or-range",)),
        ("~split", ("wrong-type-or-range",)),
        ("~trainer.patience", ("required-key-missing", "trainer.patience")),
        ("~results_root", ("required-key-missing", "results_root")),
        ("seeds=2000000000", ("wrong-type-or-range", "2000000000", "seeds=1000 or less")),
        ("trainer.batch_size=abc", ("wrong-type-or-range", "trainer.batch_size")),
        ("loss.label_smoothing=abc", ("wrong-type-or-range", "loss.label_smoothing")),
        ("model.depth=-1", ("wrong-type-or-range", "-1", "model.depth=0 or more")),
        (f"name={LONG}", ("name-not-allowed", "100")),
        ("protocol.follower=optimizer.rate", ("follower-not-a-key", "protocol.follower")),
    ],
)
def test_an_odd_word_of_a_command_is_refused_in_one_line_and_nothing_is_written(
    word, message, capsys
):
    assert main(["lr_sweep", word]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    check_told(error, *message)
    assert list(Path.cwd().iterdir()) == []


def test_an_odd_schedule_is_refused_too(capsys):
    assert main(["lr_sweep", "schedule=exponential", "schedule.gamma=abc"]) == 2
    check_told(capsys.readouterr().err, "wrong-type-or-range", "schedule.gamma", "'abc'")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["knob.loss.label_smoothing=interval(0,2)"], ("wrong-type-or-range", "label_smoothing")),
        (["knob.trainer.batch_size=choice(16,abc)"], ("wrong-type-or-range", "batch_size")),
        (["knob.model.depth=int(interval(-2,2))"], ("wrong-type-or-range", "model.depth")),
        (["knob.optimizer.nesterov=choice(1,2)", "optimizer=nesterov"], ("wrong-type-or-range",)),
        (["trainer._target_=my.Derived", "trainer.fraction=2"], ("wrong-type-or-range", "trainer.fraction")),
    ],
)  # fmt: skip
def test_values_that_a_key_cannot_have_are_refused_of_a_knob_and_a_class_derived_from_ours(
    words, message
):
    with raises(*message):
        read_plan(compose_experiment("lr_sweep", overrides=words, config_dir=None), root=Path.cwd())


GROUPS = ("data", "model", "optimizer", "trainer", "metric", "split", "placement", "schedule")


@pytest.mark.parametrize("odd", ["3", "[1, 2]", "null"])
def test_a_file_with_scalars_or_lists_in_place_of_groups_is_refused(odd, tmp_path, capsys):
    config = compose_experiment("lr_sweep", overrides=[], config_dir=None)
    text = OmegaConf.to_container(config, resolve=True)
    path = tmp_path / "file.yaml"
    for group in GROUPS:
        changed = OmegaConf.create({key: node for key, node in text.items() if key != group})
        path.write_text(f"{OmegaConf.to_yaml(changed)}{group}: {odd}\n")
        assert main(["train", str(path)]) == 2, group
        error = capsys.readouterr().err
        check_told(error, "wrong-type-or-range", f"search: {group}: ")
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_file_whose_aliases_grow_without_end_is_refused_quickly(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines) + "\n")
    with raises("config-too-large", "bomb.yaml"):
        load_config(path, overrides=[])
