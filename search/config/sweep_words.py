"""What a list of knobs to be swept in a row means: the words of the protocol that does so (R28)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.config.catalogue import experiments, roots, space_files
from search.config.yaml_text import read_yaml
from search.errors import UsageError, refused, unknown

KNOB = "knob."  # begins a word of a command that is a knob by itself
LISTING = "python -m search help knobs"
RECIPE = "_sweep"  # ends the name of a knob's experiment
ABOUT = ("defaults", "protocol")  # keys of a recipe that say nothing of the set-up


def sweep_words(knobs: str | None, overrides: Sequence[str], config_dir: Path | None) -> list[str]:
    """The words of the protocol: of `knobs=[…]`, of words `knob.PATH=DOMAIN`, or of both."""
    is_own = any(word.lstrip("+").startswith(KNOB) for word in overrides)
    chosen = knob_names(knobs)
    words = protocol_words(chosen, config_dir) if chosen or not is_own else ["protocol=sweeps"]
    is_named = any(word.startswith("name=") for word in overrides)
    return [*words, *([] if is_named else ["name=sweep"]), *overrides]


def knob_names(knobs: str | None) -> list[str]:
    """The names in `[a,b]`: a and b."""
    return [knob for knob in re.split(r"[\s,\[\]]+", knobs or "") if knob]


def protocol_words(knobs: Sequence[str], config_dir: Path | None) -> list[str]:
    """The words of `tune` that sweep these knobs in this order.

    Raises:
        UsageError: no knob, one that does not exist, or one twice.
    """
    if not knobs:
        raise refused(
            "sweep",
            code="sweep-needs-knobs",
            rule="needs knobs",
            got="none",
            remedy="say 'knobs=[lr,dropout]'",
        )
    recipes = {
        path.removesuffix(RECIPE) for path in experiments(config_dir) if path.endswith(RECIPE)
    }
    spaces = set(space_files(config_dir))
    for knob in knobs:
        if knob not in recipes | spaces:
            raise UsageError(
                f"sweep: {unknown('knob', name=knob, known=recipes | spaces, listing=LISTING)}",
                code="sweep-of-unknown-knob",
            )
    if len(set(knobs)) < len(knobs):
        raise refused(
            "sweep",
            code="knob-swept-twice",
            rule="a knob is swept once",
            got=", ".join(knobs),
            remedy="drop the second one",
        )
    read = {knob: _recipe(knob, config_dir) for knob in knobs if knob in recipes}
    names = [knob if knob in spaces else _space(read[knob]) for knob in knobs]
    experiment = [f"{knob}{RECIPE}" for knob, recipe in read.items() if _has_set_up(recipe)][:1]
    return [*experiment, "protocol=sweeps", f"space=[{','.join(names)}]"]


def recipe_words(space: str) -> str:
    """The words that sweep a knob of `conf/space/` in a set-up that is given: its own experiment,
    which says how (what follows it, how often it is refined), unless that brings a set-up.
    """
    if f"{space}{RECIPE}" in experiments(None):
        recipe = _recipe(space, None)
        if _space(recipe) == space and not _has_set_up(recipe):
            return f"{space}{RECIPE}"
    return f"lr_sweep space={space}"


def _recipe(knob: str, config_dir: Path | None) -> dict[str, Any]:
    """The experiment of a knob as its file says it; the last folder wins, as in Hydra."""
    files = [root / "experiment" / f"{knob}{RECIPE}.yaml" for root in roots(config_dir)]
    content = read_yaml([file for file in files if file.exists()][-1].read_text(encoding="utf-8"))
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
