"""The config of a search of many stages: every knob that its protocol may turn, by name.

Reads `conf/space/NAME.yaml`, ours and the user's. Never composes by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf, open_dict
from omegaconf.dictconfig import DictConfig

from search.config.catalogue import CONF, space_files
from search.config.compose import compose_experiment
from search.config.knob_parts import parts_of, words_of
from search.config.knob_roles import fits, lacks
from search.config.knobs import Knob
from search.config.overrides import in_grammar, parse_override
from search.config.ranges import ENDS
from search.config.space import read_space
from search.config.sweep_grammar import read_domain
from search.config.sweep_words import KNOB, LISTING, knob_names
from search.config.trial_config import STOCK, is_stock
from search.config.words import take, with_experiment
from search.config.yaml_text import read_shipped
from search.errors import UsageError, refused, unknown

PROTOCOL, NAME = "guide", "tune"
# What a user's own trainer reads is not known here, but nearly all have a rate and epochs.
ANY_TRAINER = ["lr", "epochs_range"]
# The experiments of a user's own trainers, whose data the trainer loads itself.
OWN_RECIPES = {"own": "own_trainer", "command": "own_command"}


def compose_protocol(
    words: list[str], *, config_dir: Path | None, goes_on: bool = False
) -> DictConfig:
    """The config of `[EXPERIMENT] [protocol=NAME] [space=[KNOB,…]] [key=value …]`.

    A word `knob.PATH=DOMAIN` is a knob of the command's own; such knobs and those of `space=` are
    then all that may be turned. `goes_on`: it starts from another search, which brings its set-up.

    Raises:
        UsageError: no such experiment, protocol or knob, or what `compose_experiment` refuses.
    """
    experiment, overrides = with_experiment(words)
    if experiment is None and not goes_on:
        experiment, overrides = recipe_of(words)
    named, overrides = _knobs(overrides)
    own = _own_spaces(overrides, taken=named)
    for key, default in (("protocol", PROTOCOL), ("preflight", '"on"'), ("name", NAME)):
        if not any(word.startswith(f"{key}=") for word in overrides):
            overrides = [f"{key}={default}", *overrides]
    bounds = [word for word in overrides if word.lstrip("+").startswith("space.")]
    overrides = [word for word in overrides if word not in bounds]
    spaces, keys = dict[str, Any](), list[str]()

    def spaces_for(draft: DictConfig) -> dict[str, Any]:
        _check_lists_stages(draft)
        spaces.update(_spaces(named, config_dir) if named or own else _listed(draft, config_dir))
        spaces.update(own)
        keys.extend(_narrow(spaces, bounds))
        return spaces

    config = compose_experiment(
        experiment, overrides=overrides, config_dir=config_dir, spaces=spaces_for
    )
    shipped = _files(None)
    theirs = {name: node for name, node in spaces.items() if name in own or name not in shipped}
    OmegaConf.set_readonly(config, False)
    with open_dict(config):
        config.protocol.chosen = bool(named or own)
        kept = config.protocol.get("own_ranges") or ()
        config.protocol.own_ranges = sorted({*kept, *_own_ranges(theirs, keys)})
        knobs = (knob for node in spaces.values() for knob in read_space(node))
        config.protocol.parts = words_of(parts_of(knobs, rate=config.protocol.get("rate")))
    OmegaConf.set_readonly(config, True)
    return config


def _check_lists_stages(draft: DictConfig) -> None:
    kind = draft.protocol.get("kind")
    if str(kind) != "tune":
        rule = "a protocol lists stages"
        got = f"protocol={draft.chosen.protocol}, which is of kind {kind}"
        remedy = "choose guide, fixed_order, coordinate, sweeps, unstick or one of your own"
        raise refused(
            "protocol", code="protocol-lists-no-stages", rule=rule, got=got, remedy=remedy
        )


def _spaces(names: Iterable[str], config_dir: Path | None) -> dict[str, Any]:
    """The knobs of these names, each name's as its file nests them."""
    files = _files(config_dir)
    for name in names:
        _check_file(name, files)
    return {name: _nested(files[name]) for name in names}


def _nested(path: Path) -> Any:
    """The knobs of a file; of ours in a tenth of the time."""
    if path.is_relative_to(CONF):
        return read_shipped(path)
    return OmegaConf.to_container(OmegaConf.load(path))


def _listed(draft: DictConfig, config_dir: Path | None) -> dict[str, Any]:
    """Of the knobs that the protocol lists, those that make sense for these data and this model."""
    names = list(map(str, draft.protocol.knobs or ())) if is_stock(draft) else ANY_TRAINER
    if not names:
        rule, remedy = "a protocol turns at least one knob", "say 'space=[lr]'"
        raise refused(
            "protocol.knobs", code="protocol-needs-knob", rule=rule, got="none", remedy=remedy
        )
    spaces = _spaces(names, config_dir)
    knobs = {name: read_space(node) for name, node in spaces.items()}
    turned = {knob.path for group in knobs.values() for knob in group}
    return {name: node for name, node in spaces.items() if fits(draft, knobs[name], turned=turned)}


def _check_file(name: str, files: Mapping[str, Path]) -> None:
    """A knob that is named has a file."""
    if name in files:
        return
    if "." in name:
        rule, remedy = "it names files of conf/space/", f"say 'knob.{name}=log(LOW,HIGH)'"
        raise refused(
            "space", code="space-names-files", rule=rule, got=f"{name}, a key", remedy=remedy
        )
    raise UsageError(unknown("knob", name=name, known=files, listing=LISTING), code="unknown-knob")


def recipe_of(words: list[str]) -> tuple[str | None, list[str]]:
    """The experiment of a trainer of the user's own where a word names one, else none; and the
    words, which say so themselves where the data are a set that the search loads.
    """
    keys = dict(word.partition("=")[::2] for word in words)
    is_own = not keys.get("trainer._target_", STOCK).startswith("trainers.")
    trainer = keys.get("trainer", "own" if is_own else "stock")
    if trainer not in OWN_RECIPES:
        return None, words
    if keys.get("data", "own") == "own":
        seeds = [] if "seeds" in keys else ["seeds=3"]  # with two, nearly all is a tie (P5)
        return OWN_RECIPES[trainer], [*seeds, *words]
    return None, [f"trainer={trainer}", "model=own", *words]


def _knobs(words: list[str]) -> tuple[list[str], list[str]]:
    """The names of the last `space=[…]`, and the other words."""
    listed, others = take(words, "space")
    names = knob_names(listed)
    if listed is not None and not names:
        rule, remedy = "names the knobs that may be turned", "drop it, or say 'space=[lr,dropout]'"
        raise refused("space", code="space-names-no-knob", rule=rule, got="none", remedy=remedy)
    return list(dict.fromkeys(names)), others


def _own_spaces(words: list[str], *, taken: list[str]) -> dict[str, Any]:
    """A space per word `knob.PATH=DOMAIN`, named as the last part of its path where that is free,
    else as all of it.

    Raises:
        UsageError: a domain breaks a rule.
    """
    spaces: dict[str, Any] = {}
    for word in words:
        key, _, text = word.partition("=")
        path = key.lstrip("+").removeprefix(KNOB)
        if path == key.lstrip("+"):
            continue
        space: Any = read_domain(key, text)
        for part in reversed(path.split(".")):
            space = {part: space}
        whole = path.replace(".", "_")
        names = chain((path.rpartition(".")[2], whole), (f"{whole}_{at}" for at in count(2)))
        spaces[next(name for name in names if name not in (*taken, *spaces))] = space
    return spaces


def _files(config_dir: Path | None) -> dict[str, Path]:
    """Every file of `conf/space/` that holds knobs itself, by name."""
    return {
        name: path
        for name, path in sorted(space_files(config_dir).items())
        if "defaults:" not in path.read_text(encoding="utf-8")
    }


def spaces_by_path(config: DictConfig) -> dict[str, str]:
    """By path, the name of the shipped file of `conf/space/` whose sweep is about it; the shortest
    name of those that make sense for a config.
    """
    names: dict[str, str] = {}
    for name, path in _files(None).items():
        about = _about(path, changed_at=path.stat().st_mtime_ns)
        if lacks(config, about):
            continue
        if about.path not in names or len(name) < len(names[about.path]):
            names[about.path] = name
    return names


@cache  # the advice at a search's end is given in several places
def _about(path: Path, *, changed_at: int) -> Knob:
    """The knob that a file of `conf/space/` is about. `changed_at`: when the file was, [ns]."""
    (about, *_) = read_space(read_shipped(path))
    return about


def _own_ranges(spaces: Mapping[str, Any], keys: Iterable[str]) -> set[str]:
    """The paths of knobs whose values the user names, without `min` or `max`, which say how far
    trials may leave a range. `spaces`: his own. `keys`: of any knob, that the command sets.
    """
    named = [*keys, *(key for node in spaces.values() for key in _keys_of_ranges(node, ""))]
    split = [key.rpartition(".")[::2] for key in named]
    limited = {path for path, key in split if key in ENDS}
    return {path for path, key in split if key in ("low", "high", "choices")} - limited


def _keys_of_ranges(node: Any, path: str) -> Iterator[str]:
    """The keys of all knobs of a nested space: `optimizer.lr.low`."""
    if isinstance(node, str):
        node = read_domain(path, node)
    for key, below in node.items() if isinstance(node, Mapping) else ():
        yield f"{path}.{key}".lstrip(".")
        if isinstance(below, Mapping) or not {"low", "choices"} & set(node):
            yield from _keys_of_ranges(below, f"{path}.{key}".lstrip("."))


def _narrow(spaces: dict[str, Any], bounds: list[str]) -> list[str]:
    """Sets keys of knobs, such as `space.optimizer.lr.low=1e-3`, in every space that has the knob,
    and returns them: `optimizer.lr.low`.

    Raises:
        UsageError: no space has such a key.
    """
    keys = []
    for word in bounds:
        override = parse_override(in_grammar(word))
        path = override.key_or_group.removeprefix("space.")
        text = word.partition("=")[2]  # a sweep of Hydra's is no bound
        keys.append(path)
        *parents, key = path.split(".")
        is_set = False
        for space in spaces.values():
            node: Any = space
            for parent in parents:
                node = node.get(parent) if isinstance(node, dict) else None
            if isinstance(node, dict) and ({"low", "choices"} & set(node)):
                node[key], is_set = text if override.is_sweep_override() else override.value(), True
        if not is_set:
            rule, remedy = "a knob of the protocol has the key", "see conf/space/"
            raise refused(
                f"space.{path}", code="unknown-key-of-knob", rule=rule, got=word, remedy=remedy
            )
    return keys
