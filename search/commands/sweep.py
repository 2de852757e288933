"""Several sweeps in one search: one knob after the other, each from the winner before (R28)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from search.commands.support.arguments import VerbParser, results_root, take
from search.commands.tune import carry_out_protocol
from search.config.catalogue import experiments, roots
from search.errors import UsageError, unknown
from search.execution.terminal import Terminal

SUMMARY = "sweeps several knobs, each from the winner before, and confirms what was adopted"
RECIPE = "_sweep"  # ends the name of a knob's experiment
ABOUT = ("defaults", "protocol")  # keys of a recipe that say nothing of the set-up


def parser() -> VerbParser:
    """`knobs=[…] [name=NAME] [key=value …]`."""
    examples = [
        ("python -m search sweep 'knobs=[lr,batch_size,dropout]'", "one search, results/sweep/"),
        ("python -m search sweep 'knobs=[lr,width]' name=mine from=joint", "after another search"),
        (
            "python -m search sweep 'knobs=[lr,width]' protocol=coordinate",
            "passes, until a pass adopts nothing",
        ),
    ]
    details = (
        "A knob is named as in its experiment KNOB_sweep or its file in conf/space/; the first "
        "experiment that brings a set-up of its own, such as a model, sets it for all. The same as "
        "tune protocol=sweeps 'space=[…]'; protocol.confirm= is the number of fresh seeds. The "
        "same command again goes on where it stopped."
    )
    parser = VerbParser("sweep", summary=SUMMARY, details=details, examples=examples)
    parser.add_overrides()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """One protocol of sweeps, from config to page."""
    console = Terminal()
    knobs, overrides = take(parser().parse(words).overrides, "knobs")
    chosen = [knob for knob in re.split(r"[\s,\[\]]+", knobs or "") if knob]
    set_up = protocol_words(chosen, config_dir)
    name, overrides = take(overrides, "name")
    name = name or "sweep"
    folders = [f"{name}-{knob}" for knob in chosen]
    root = results_root(overrides)
    if not (root / name).exists() and (former := [f for f in folders if (root / f).exists()]):
        console.say(f"{', '.join(former)}: sweeps of an earlier version, which stay as they are")
    console.say(f"{name}: reading the config …")
    return carry_out_protocol(
        [*set_up, f"name={name}", *overrides],
        config_dir,
        console=console,
        command=["sweep", *words],
    )


def protocol_words(knobs: Sequence[str], config_dir: Path | None) -> list[str]:
    """The words of `tune` that sweep these knobs in this order.

    Raises:
        UsageError: no knob, one that does not exist, or one twice.
    """
    if not knobs:
        raise UsageError("sweep: needs knobs, but got none; say knobs=[lr,dropout]")
    recipes = {
        path.removesuffix(RECIPE) for path in experiments(config_dir) if path.endswith(RECIPE)
    }
    spaces = {path.stem for root in roots(config_dir) for path in root.glob("space/*.yaml")}
    for knob in knobs:
        if knob not in recipes | spaces:
            raise UsageError(f"sweep: {unknown('knob', name=knob, known=recipes | spaces)}")
    if len(set(knobs)) < len(knobs):
        raise UsageError(
            f"sweep: a knob is swept once, but got {', '.join(knobs)}; drop the second one"
        )
    read = {knob: _recipe(knob, config_dir) for knob in knobs if knob in recipes}
    names = [knob if knob in spaces else _space(read[knob]) for knob in knobs]
    experiment = [f"{knob}{RECIPE}" for knob, recipe in read.items() if _has_set_up(recipe)][:1]
    return [*experiment, "protocol=sweeps", f"space=[{','.join(names)}]"]


def _recipe(knob: str, config_dir: Path | None) -> dict[str, Any]:
    """The experiment of a knob as its file says it; the last folder wins, as in Hydra."""
    files = [root / "experiment" / f"{knob}{RECIPE}.yaml" for root in roots(config_dir)]
    content = yaml.safe_load([file for file in files if file.exists()][-1].read_text())
    return content if isinstance(content, dict) else {}


def _overridden(recipe: dict[str, Any]) -> dict[str, str]:
    """The config groups that a recipe chooses."""
    chosen = [entry for entry in recipe.get("defaults") or () if isinstance(entry, dict)]
    return {
        str(group).removeprefix("override /"): str(option)
        for entry in chosen
        for group, option in entry.items()
    }


def _space(recipe: dict[str, Any]) -> str:
    return _overridden(recipe).get("space", "lr")


def _has_set_up(recipe: dict[str, Any]) -> bool:
    """Whether a recipe says more than which knob is swept and how."""
    groups = set(_overridden(recipe)) - {"space", "protocol"}
    return bool(groups or set(recipe) - set(ABOUT))
