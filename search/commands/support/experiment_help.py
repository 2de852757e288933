"""The help page of an experiment: what it does, its knobs, the keys that matter, two examples."""

import re
import shlex
import textwrap
from pathlib import Path

from omegaconf import OmegaConf

from search.commands.support.arguments import WIDTH, examples_text
from search.config.catalogue import CONF, needed_words
from search.config.compose import compose_experiment
from search.config.plan import Plan, read_plan
from search.config.text import one_line

# By kind of search, the keys that a user changes first, and an example of changing them.
KEYS = {
    "sweep": ("seeds", "trainer.epochs", "trainer.batch_size", "lanes", "placement.slots", "name"),
    "joint": ("n_trials", "trainer.epochs", "budget_hours", "lanes", "placement.slots", "name"),
}
EXAMPLES = {"sweep": "seeds=5 optimizer=adam", "joint": "n_trials=120"}
COLUMN = 26  # where the text of an entry begins
GROUPS = ("data", "model", "optimizer", "schedule", "metric", "split")


def experiment_help(name: str, *, purpose: str, config_dir: Path | None) -> str:
    """The page, from the composed config.

    Raises:
        UsageError: the experiment cannot be composed.
    """
    needed = needed_words(name, config_dir=config_dir)
    config = compose_experiment(name, overrides=needed, config_dir=config_dir)
    command = shlex.join(["python", "-m", "search", name, *needed])
    plan = read_plan(config, root=Path.cwd())
    keys = KEYS.get(plan.kind, KEYS["sweep"])
    rows = [(f"{key}={_value(plan, key)}", _comment(plan, key)) for key in keys]
    rows += [(f"{key}={value}", _others(key, value, config_dir)) for key, value in _chosen(plan)]
    second = EXAMPLES.get(plan.kind, EXAMPLES["sweep"])
    examples = [
        (command, f"into results/{name}/; the same command resumes it"),
        (
            f"{command} {'' if needed else f'{second} '}name=mine",
            "another search, in results/mine/",
        ),
    ]
    return "\n".join(
        [
            f"usage: python -m search {name} [key=value …]",
            "",
            textwrap.fill(purpose, WIDTH),
            "",
            "knobs, with range and default:",
            *(line for knob in plan.knobs for line in _knob_lines(plan, knob.path)),
            "",
            "keys that matter, with their value here:",
            *(line for key, text in rows for line in entry(key, text)),
            "",
            examples_text(examples),
            "",
            f"all keys: {CONF}",
            f"what would run: python -m search plan {name}",
        ]
    )


def _knob_lines(plan: Plan, path: str) -> list[str]:
    knob = next(knob for knob in plan.knobs if knob.path == path)
    under = f", under {'='.join(knob.choice)}" if knob.choice else ""
    facts = f"{knob.describe()}; default {plan.default(knob)}{under}"
    return entry(path, one_line(f"{facts}. {knob.why}".rstrip(". ")))


def _value(plan: Plan, key: str) -> object:
    value = OmegaConf.select(plan.config, key)
    return "null" if value is None else value


def _comment(plan: Plan, key: str) -> str:
    """What a key means, as the comment on its line in conf/ says."""
    group, _, last = key.rpartition(".")
    file = f"{group}/{plan.config.chosen[group]}.yaml" if group else "search.yaml"
    if not (CONF / file).exists():
        return ""
    match = re.search(
        rf"^{last}:[^#\n]*#\s*(.*)$", (CONF / file).read_text(encoding="utf-8"), re.MULTILINE
    )
    return match[1] if match is not None else ""


def _chosen(plan: Plan) -> list[tuple[str, str]]:
    return [(group, str(plan.config.chosen[group])) for group in GROUPS]


def _others(group: str, chosen: str, config_dir: Path | None) -> str:
    """The other options of a config group."""
    folders = [CONF / group, *([config_dir / group] if config_dir is not None else [])]
    options = {path.stem for folder in folders for path in folder.glob("*.yaml")}
    return f"or {', '.join(sorted(options - {chosen}))}"


def entry(name: str, text: str) -> list[str]:
    """A name and what it is, in two columns."""
    head = f"  {name}"
    lines = textwrap.wrap(text, WIDTH - COLUMN) or [""]
    first = [head, *lines] if len(head) > COLUMN - 2 else [f"{head:{COLUMN}}{lines[0]}", *lines[1:]]
    return [first[0].rstrip(), *(f"{'':{COLUMN}}{line}".rstrip() for line in first[1:])]
