"""Runs a search from Python code: a recipe by name, a config, or a function that trains."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from search.config.config_file import check_whole, override_keys
from search.config.overrides import value_word
from search.config.ranges import SCALES, TYPES
from search.config.results_root import root_of
from search.config.words import take
from search.errors import refused
from search.execution.process_guard import MARK
from search.execution.temporary_variables import variables_set
from search.execution.terminal import Terminal
from search.lifecycle.launch import launch
from search.lifecycle.train_function import importable
from search.results.search_result import SearchResult, load_result
from search.results.transfer import compose_from, protocol_from

TUNE = "tune"  # the guide, which is a protocol and no recipe
Experiment = str | Mapping[str, Any]


def run_search(
    experiment: Experiment = "own_trainer",
    overrides: Sequence[str] = (),
    *,
    train: Callable[..., Any] | None = None,
    space: Mapping[str, Any] | None = None,
    config_dir: str | Path | None = None,
    quiet: bool = False,
) -> SearchResult:
    """Runs or resumes a search to its end, as the command line does.

    Args:
        experiment: a recipe by name, or "tune"; or a mapping: `{"experiment": name}` with keys
            that differ, or a whole config.
        overrides: words as on the command line, `["seeds=5", "from=lr_sweep"]`.
        train: a function that trains, in place of `trainer._target_`; see `trainers/README.md`.
        space: the whole space by path: a list of choices, `{"low": …, "high": …, "scale": "log"}`,
            or a domain in words, such as `"log(1e-4, 1)"`.
        config_dir: a folder of configs of one's own.
        quiet: print nothing.

    Returns:
        The result, with `winner` None where nothing has won.

    Raises:
        UsageError: the config, the function or the folder is wrong; nothing was written.
        RunError: the search failed.
        Interrupted: by a signal; the same call goes on.
    """
    _check_place()
    _check_words(experiment, overrides)
    domains = (space or {}).items()
    words = [*overrides, *(f"knob.{path}={_domain(path, domain)}" for path, domain in domains)]
    with _import_path(train) as target:
        words += [f"trainer._target_={target}"] if target else []
        config, contract = _config(experiment, words, config_dir)
        findings = launch(
            config,
            console=Terminal(quiet=quiet),
            contract=contract,
            words=words if experiment == TUNE else (),
        )
    folder = findings.plan.folder
    return load_result(str(folder), results_root=root_of(config, start=Path.cwd()))


def _check_place() -> None:
    """Refuses a call from which no search can be conducted."""
    if MARK in os.environ:
        raise refused(
            "search.run",
            code="call-within-worker",
            rule="a worker imports the script in which its function stands",
            got="a call while it does",
            remedy='put the call under `if __name__ == "__main__":`',
        )
    if threading.current_thread() is not threading.main_thread():
        raise refused(
            "search.run",
            code="call-outside-main-thread",
            rule="listens for Ctrl-C, which only the main thread can",
            got=f"a call in {threading.current_thread().name}",
            remedy="call it in the main thread",
        )


def _check_words(experiment: Experiment, overrides: Sequence[str] | Mapping[str, Any]) -> None:
    """A string is a sequence too, of its characters, and a mapping one of its keys."""
    if not isinstance(experiment, str | Mapping):
        raise refused(
            "search.run",
            code="experiment-not-a-name",
            rule="an experiment is a name or a mapping",
            got=repr(experiment),
            remedy='say "lr_sweep", or search.run(train=…, space=…) for a function of yours',
        )
    if isinstance(overrides, str):
        remedy = f"say [{overrides!r}]"
    elif isinstance(overrides, Mapping):
        words = ", ".join(repr(f"{key}={value}") for key, value in overrides.items())
        remedy = f'say [{words}], or one mapping: {{"experiment": NAME, …}}'
    else:
        return
    rule = "the words of a command are a list"
    raise refused(
        "search.run", code="words-not-a-list", rule=rule, got=repr(overrides), remedy=remedy
    )


def _config(
    experiment: Experiment, words: list[str], config_dir: str | Path | None
) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """The config, and the contract that must hold because it comes from another search."""
    folder = Path(config_dir).absolute() if config_dir is not None else None
    if not isinstance(experiment, str):
        if "experiment" not in experiment:
            return _whole(experiment, words), None
        changes = list(_words_of({k: v for k, v in experiment.items() if k != "experiment"}))
        experiment, words = str(experiment["experiment"]), [*changes, *words]
    source, overrides = take(words, "from")
    if experiment == TUNE:
        return protocol_from(overrides, config_dir=folder, source=source)
    return compose_from(experiment, overrides=overrides, config_dir=folder, source=source)


def _words_of(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A nested mapping as words: `trainer.epochs=3`."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _words_of(value, f"{prefix}{key}.")
        else:
            plain = os.fspath(value) if isinstance(value, Path) else value
            yield f"{prefix}{key}={value_word(plain)}"


def _whole(experiment: Mapping[str, Any], words: Sequence[str]) -> DictConfig:
    """A whole config with changes of keys that it has."""
    config = OmegaConf.create(dict(experiment))
    assert isinstance(config, DictConfig)
    check_whole(config, Path("the config"))
    override_keys(config, words, where="search.run")
    OmegaConf.set_readonly(config, True)
    return config


@contextmanager
def _import_path(train: Callable[..., Any] | None) -> Iterator[str]:
    """The import path of a function, by which workers find it while the block runs."""
    if train is None:
        yield ""
        return
    target, folder = importable(train)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    with variables_set({"PYTHONPATH": path}):
        yield target


def _domain(path: str, domain: Any) -> str:
    """A domain as a word of the command line; a tuple may be meant as two ends, and is none."""
    if isinstance(domain, str):
        return domain
    if isinstance(domain, Mapping) and {"low", "high"} <= set(domain):
        ends = f"{domain['low']}, {domain['high']}"
        ranged = f"log({ends})" if domain.get("scale") == "log" else f"interval({ends})"
        whole = domain.get("type") == "int"
        unknown = set(domain) - {"low", "high", "scale", "type"}
        named = domain.get("scale", SCALES[0]) in SCALES and domain.get("type", TYPES[0]) in TYPES
        if named and not unknown:
            return f"int({ranged})" if whole else ranged
    elif isinstance(domain, Sequence | np.ndarray) and not isinstance(domain, tuple):
        return f"choice({', '.join(map(value_word, domain))})"
    raise refused(
        "space",
        code="domain-not-given",
        rule=f"{path} is a list of choices, low and high with scale (log or linear) and type "
        "(float or int), or a domain in words",
        got=repr(domain),
        remedy='say [16, 32] or "log(1e-4, 1)"',
    )
