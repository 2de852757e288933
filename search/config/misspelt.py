"""What Hydra refuses, in the house's words: a key, or an option of a group, that does not exist."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.errors import MissingConfigException
from omegaconf import DictConfig

from search.config.catalogue import CONF, misplaced, roots, verbs
from search.config.check_keys import options_with
from search.config.drift import flat_config
from search.config.trial_config import PRIVATE
from search.config.words import key_of
from search.errors import UsageError, refused, unknown

OVERRIDE = re.compile(r"Could not override '([^']+)'")
DELETION = re.compile(r"Could not delete from config\. '([^']+)' does not exist")
TWICE = re.compile(r"(?:Multiple values for |.*already at ')([\w.@/]+\w)")
# Endings of files of rows, and the option of `data` that reads each.
FILES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".npz": "npz"}
SEVERAL = re.compile(r"Ambiguous value for argument '([^=']+)=([^\n]*)'\n")
SEVERAL_OPTIONS = ("callbacks", "features", "space")  # groups of which a config may have several
INTERNAL = ("choices", "chosen")  # keys that this program adds


def refusal(
    error: Exception,
    words: Sequence[str],
    *,
    where: str,
    compose: Callable[[list[str]], DictConfig],
    config_dir: Path | None,
) -> UsageError | None:
    """The error for a name that does not exist, nearest first; None for other errors."""
    if isinstance(error, MissingConfigException):
        return _no_such_option(
            str(error.missing_cfg_file or ""), where=where, config_dir=config_dir
        )
    twice = TWICE.match(str(error))
    if twice is not None:
        return there_already(twice[1], where=where)
    several = SEVERAL.match(str(error))
    if several is not None:
        return _of_several(*several.groups())
    override, deletion = OVERRIDE.match(str(error)), DELETION.match(str(error))
    match = override or deletion
    if match is None:
        return None
    key, keys = match[1], list(map(key_of, words))
    groups = {path.name for root in roots(config_dir) for path in root.glob("*") if path.is_dir()}
    choices = [  # a second wrong key would be refused before the place of the first one is known
        word
        for word, name in zip(words, keys, strict=True)
        if (name in groups and name != key) or name.startswith("hydra.")
    ]
    config = compose(choices)
    return unknown_key(config, key, where=where, remedy="" if deletion else _added(key))


def there_already(key: str, *, where: str) -> UsageError:
    """The error for a + before a key that the config has."""
    rule, got = "a key that the config has needs no +", f"+{key}"
    remedy = f"say {key}=…"
    return refused(
        f"{where}: {key}", code="key-is-there-already", rule=rule, got=got, remedy=remedy
    )


def check_words(words: Sequence[str]) -> None:
    """A group has one option: Hydra lays those of a list over each other, so the last would win.
    And Hydra composes here, and starts nothing: its own settings would be read by nobody.

    Raises:
        UsageError: a word gives a list of options to a group that takes one, or sets up Hydra.
    """
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if key.startswith(("hydra.", "hydra/")) and key != "hydra.searchpath":
            raise refused(
                key,
                code="hydra-starts-nothing-here",
                rule="Hydra composes the config and starts nothing, so nothing reads its settings",
                got=word,
                remedy="drop it; name=NAME and results_root=FOLDER say where results lie",
            )
        if value.startswith("[") and key not in SEVERAL_OPTIONS and (CONF / key).is_dir():
            raise _of_several(key, value.strip("[]"))


def _of_several(key: str, values: str) -> UsageError:
    """What to say in place of several values: a key that no trainer sees is no knob."""
    remedy = f"search them by 'knob.{key}=choice({values})'"
    if key in ("seed", "seeds"):
        remedy = "give one; seeds=2 trains each configuration with two seeds"
    elif key == "metric":
        remedy = "give one, or a formula of several: metric=composite metric.formula=…"
    elif key.partition(".")[0] in PRIVATE or key == "data":
        remedy = f"give the list {key}=[{values}]" if key in SEVERAL_OPTIONS else "give one"
    elif not (CONF / key).is_dir():
        remedy += f", or give the list [{values}]"
    rule = "a key has one value"
    return refused(key, code="several-values-of-a-key", rule=rule, got=values, remedy=remedy)


def _no_such_option(missing: str, *, where: str, config_dir: Path | None) -> UsageError | None:
    """The error for `group/option` without a file; None where that is no option of a group."""
    group, _, option = missing.rpartition("/")
    top, _, file = missing.partition("/")
    if top == "data" and (kind := FILES.get(Path(file).suffix.lower())):
        return refused(
            f"{where}: data",
            code="data-file-as-option",
            rule="names a kind of data",
            got=f"the file {file}",
            remedy=f"say data={kind} data.path={file} data.task=…"
            + ("" if kind == "npz" else " data.target=…"),
        )
    if group and "." in option and not option.endswith(".yaml"):
        return refused(
            f"{where}: {group}",
            code="import-path-as-option",
            rule="names a file of its group",
            got=f"the import path {option}",
            remedy=f"say {group}._target_={option}",
        )
    if group and (error := misplaced(group, option, config_dir=config_dir)):
        return error
    options = [path.stem for root in roots(config_dir) for path in (root / group).glob("*.yaml")]
    text = unknown(f"{group} option", name=option, known=options, listing=_page(where))
    return UsageError(f"{where}: {text}", code="unknown-option-of-group") if group else None


def _page(where: str) -> str:
    """The command that lists keys and options of an experiment or a verb that ships; empty for a
    file, and for a user's experiment, which no command knows without --config-dir.
    """
    ships = where in verbs() or (CONF / "experiment" / f"{where}.yaml").exists()
    return f"python -m search help {where}" if ships else ""


def _added(key: str) -> str:
    """Where a key exists, and how it becomes a new one."""
    group, _, inner = key.partition(".")
    options = [f"{group}={option}" for option in options_with(group, inner)]
    elsewhere = f"it exists with {' or '.join(options)}; " if options else ""
    return f"{elsewhere}a new key is added with +{key}=…"


def unknown_key(config: DictConfig, path: str, *, where: str, remedy: str = "") -> UsageError:
    """The error for a key that a config does not have; `remedy`: what to do, if it is meant."""
    name, known = _place(config, path)
    nearest, listing = _elsewhere(config, name), _page(where)
    text = unknown("key", name=name, known=known, nearest=nearest, listing=listing, remedy=remedy)
    return UsageError(f"{where}: {text}", code="unknown-key")


def _place(config: DictConfig, path: str) -> tuple[str, list[str]]:
    """Where a path leaves the config: as far as the first wrong word, and the keys there are."""
    node, prefix, parts = config, "", path.split(".")
    while parts and parts[0] in node and isinstance(below := node.get(parts[0]), DictConfig):
        node, prefix = below, f"{prefix}{parts.pop(0)}."
    wrong = parts[0] if parts and parts[0] not in node else ".".join(parts)
    return f"{prefix}{wrong}", [f"{prefix}{key!s}" for key in node if key not in INTERNAL]


def _elsewhere(config: DictConfig, path: str) -> str:
    """A key of the same last word in another place, as `lr` is `optimizer.lr`; empty if none.

    What trials read goes before the description of a knob (`space`).
    """
    last = path.rpartition(".")[2]
    same = [
        key
        for key in flat_config(config)
        if key.rpartition(".")[2] == last and key.partition(".")[0] not in INTERNAL
    ]
    return min(same, key=lambda key: (key.startswith("space."), key.count("."), key), default="")
