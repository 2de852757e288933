"""One training of one complete config, and whether it gives what was promised.

What is heavy is imported after the first line has been shown.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from search.commands.support.arguments import VerbParser
from search.config.quick_imports import quick_imports
from search.config.results_root import from_here
from search.config.words import changed_keys, group_of
from search.errors import RunError, refused
from search.execution.terminal import Terminal

if TYPE_CHECKING:
    from omegaconf import DictConfig

SUMMARY = "trains one config, such as best.yaml; compares with its `expected:`"


def parser() -> VerbParser:
    """`FILE [key=value …]`."""
    examples = [
        (
            "python -m search train results/lr_sweep/best.yaml",
            "the winner again: on a CPU, the same number",
        ),
        ("python -m search train mine.yaml trainer.epochs=100 name=long", "in results/long/"),
    ]
    details = (
        "Trains into results/<name>-train/. Exit code 1 if the value differs from the one that "
        "the file expects."
    )
    parser = VerbParser("train", summary=SUMMARY, details=details, examples=examples)
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="a complete config, as `export` writes it"
    )
    parser.add_overrides(takes_source=False)
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Trains into results/<name>-train/; exit 1 if `expected` and the value differ."""
    options = parser().parse(words)
    overrides, console = options.overrides, Terminal()
    console.say(f"{options.file}: reading the config …")
    with quick_imports():
        from search.config.foreign_code import say_code
        from search.config.plan import read_plan
        from search.lifecycle.launch import launch
        from search.storage.folder import Folder
    config, expected, contract = _read(options.file, overrides)
    say_code(options.file, config)
    was_trained = Folder(read_plan(config, root=Path.cwd()).folder).trials.exists()
    command = f"python -m search train {shlex.join(words)}"
    findings = launch(config, console=console, contract=contract, command=command)
    if was_trained:
        print(f"{config.name}: was trained before; this is its result, and name=… trains again")
    (row,) = findings.rows
    if row.value is None:
        raise RunError(
            f"{config.name}: a training must give a value, but this one ended as {row.state}: "
            f"{row.reason}; mend it, then use name=…",
            code="training-gave-no-value",
        )
    metric = findings.plan.metric
    print(f"{metric.name}: {row.value!r} at epoch {row.best_epoch}")
    print(f"results: {from_here(findings.plan.folder)}/")
    if expected is None:
        return 0
    print(f"expected: {expected!r}\ngot:      {row.value!r}")
    if changed := changed_keys(overrides):
        print(f"expected was promised for another config: here {', '.join(changed)} was given")
        return 0
    if metric.is_timed:
        print("a metric with seconds depends on the machine and the moment, and is not compared")
        return 0
    if float(expected) != row.value:
        print(f"they differ, {_why(options.file.parent, findings.plan.folder)}")
        return 1
    print("the same, to the last digit")
    return 0


def _why(made: Path, here: Path) -> str:
    """What may make a value differ from the expected one; the folders of the searches of both."""
    from search.storage.code_record import CodeRecord

    if files := CodeRecord(made).differing(CodeRecord(here)):
        return f"and your code has changed: {', '.join(files)}"
    return (
        "as they may on another device, processor, thread count or library version "
        "(best/provenance.json), where code or data that a trainer of yours reads have changed "
        "since, or where it does not heed its seed (preflight tells)"
    )


def _read(file: Path, overrides: list[str]) -> tuple["DictConfig", float | None, dict[str, Any]]:
    """The config to train, the value that it promises, and the contract that must hold."""
    from omegaconf import DictConfig, OmegaConf, open_dict

    from search.config.config_file import check_whole, load_config

    whole = load_config(file, overrides=overrides)
    check_whole(whole, file)
    config = OmegaConf.create(OmegaConf.to_container(whole, resolve=False))
    assert isinstance(config, DictConfig)
    with open_dict(config):
        expected, contract = config.pop("expected", None), config.pop("contract", None)
        if not any(word.startswith("name=") for word in overrides):
            config.name = f"{config.name}-train"
        config.protocol = {"kind": "train"}
        config.space = {}
        if expected is not None and "preflight" not in map(group_of, overrides):
            config.preflight.mode = "off"  # it has been trained: its search has checked the set-up
        if OmegaConf.select(config, "placement.slots") == "auto":
            config.placement.slots = 1  # one training needs one worker
    OmegaConf.set_readonly(config, True)
    if isinstance(expected, bool) or not isinstance(expected, int | float | None):
        rule, remedy = "the value that this config promises is a number", "mend or drop this line"
        got = repr(expected)
        where = f"{file}: expected"
        raise refused(where, code="expected-not-a-number", rule=rule, got=got, remedy=remedy)
    if not isinstance(contract, DictConfig | None):
        rule, remedy = "a contract has keys", "restore the file, or drop this line"
        where, got = f"{file}: contract", repr(contract)
        raise refused(where, code="contract-without-keys", rule=rule, got=got, remedy=remedy)
    fixed = {} if contract is None else OmegaConf.to_container(contract)
    return config, expected, cast(dict[str, Any], fixed)
