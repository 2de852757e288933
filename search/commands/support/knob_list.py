"""All knobs by name, as `sweep 'knobs=[…]'` and `space=[…]` take them: path, range, reason."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from search.commands.support.experiment_help import entry
from search.config.catalogue import experiments, space_files
from search.config.space import read_space
from search.config.sweep_words import RECIPE
from search.config.text import one_line

HEAD = """\
knobs by name, with their keys and ranges:
  python -m search sweep 'knobs=[lr,dropout]'    one after the other
  python -m search joint 'space=[lr,dropout]'    all at once
A name with a question has a recipe of its own, for `sweep` alone.
Any other key becomes a knob by a word: 'knob.optimizer.lr=log(1e-4,1)'.
"""
TOGETHER = "several of these together"


def knob_list(config_dir: Path | None) -> str:
    """A name, then its knobs, a few lines each; those of the user's config folder too."""
    files = space_files(config_dir)
    purposes = {
        name.removesuffix(RECIPE): purpose
        for name, purpose in experiments(config_dir).items()
        if name.endswith(RECIPE)
    }
    lines = [HEAD]
    for name in sorted(files.keys() | purposes.keys()):
        text = _knobs(files[name]) if name in files else purposes[name]
        lines += entry(name, text)
    return "\n".join(lines)


def _knobs(path: Path) -> str:
    space: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    knobs = read_space({key: node for key, node in space.items() if key != "defaults"})
    return one_line(". ".join(f"{knob.path}: {knob.describe()}" for knob in knobs) or TOGETHER)
