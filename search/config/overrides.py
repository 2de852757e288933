"""The words `key=value` of a command: which of them Hydra composes, which this program applies.

This program applies domains (`knob.a.b=log(1e-4, 1)`), for which Hydra would ask for `--multirun`,
and the arguments of a model class of the user's own, in place of those of the composed model. A
loading function of the user's own takes its own arguments, and brings its own rows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from search.config.knobs import Value, is_number
from search.config.passwords import redacted
from search.config.shipped_defaults import is_shipped_default
from search.config.space import read_space
from search.config.sweep_grammar import read_domain
from search.config.sweep_words import KNOB
from search.config.trial_config import is_stock
from search.config.words import key_of
from search.errors import UsageError, refused, shortened

SPACE = "space."
OPTIMIZED = (
    "python -O: Hydra reads the words of a command by assertions, but they are switched off; "
    "start without -O and PYTHONOPTIMIZE"
)
TARGET = "model._target_"
LOADER = "data._target_"
SHAPE = ("inputs", "outputs", "dimensions")  # what a config says of the rows of its own function
PLAIN = re.compile(r"[^\W\d](?:[\w./ -]*[\w./-])?", re.ASCII)  # texts that need no quotes
CONSTANTS = ("null", "true", "false", "nan", "inf")  # words that are no texts without quotes
ODD = re.compile(r"[\[,]\s*([^\s\"'\[\],]*[=}][^\"'\[\],]*)[\],]")  # of a list, without quotes
LONE_MARKS = (";", ",", "|", ":", ".", " ", "\t")  # such as a table's separator or decimal mark
MARKS = set("'\"\\[]{}()$,")  # of Hydra's grammar, in a value that is not plain text
OWN_MODELS = "trainers.models."  # import paths of the models whose arguments conf/model/ lists


@dataclass(kw_only=True)
class Overrides:
    """The words of one command, sorted by who applies them.

    `hydra`: those for Hydra. `domains`: a node per knob's path; `are_whole_space`: no other knob
    counts. `defaults`: values of knobs' keys, which the config may not have. `model`: arguments of
    a class of the user's own; empty if the composed model stays. `unknown_shape`: keys of `data`
    that described the rows of another function, and that no word gives.
    """

    hydra: list[str] = field(default_factory=list)
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    are_whole_space: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    unknown_shape: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, words: Sequence[str]) -> "Overrides":
        """Sorts the words.

        Raises:
            UsageError: a word that is no override, or a domain that breaks a rule.
        """
        if not __debug__:  # Hydra's parser then reads other values, or breaks
            raise UsageError(OPTIMIZED, code="python-without-assertions")
        overrides = cls()
        others = [word for word in words if not overrides._takes_domain(word)]
        overrides.domains = dict(
            sorted(overrides.domains.items(), key=lambda item: item[0].count("."))
        )
        own_model, own_rows = _has_own_model(others), _has_own_rows(others)
        if own_rows:
            given = set(map(key_of, others))
            overrides.unknown_shape = [key for key in SHAPE if f"data.{key}" not in given]
        for word in map(in_grammar, others):
            override = parse_override(word)
            key = override.key_or_group
            if own_model and key.startswith("model."):
                overrides.model[key.removeprefix("model.")] = override.value()
            elif key in overrides.domains and "." in key:
                overrides.defaults[key] = override.value()
            elif not overrides._takes_detail(key, override):
                is_argument = own_rows and word.startswith("data.")
                overrides.hydra.append(f"++{word}" if is_argument else word)
        return overrides

    def apply(self, config: DictConfig) -> None:
        """Writes into a composed config what Hydra has not."""
        with open_dict(config):
            for key in self.unknown_shape:
                if key in config.data:
                    config.data[key] = None
            if self.model and str(config.model.get("_target_")).startswith(OWN_MODELS):
                config.model = {}
            for key, value in self.model.items():
                OmegaConf.update(config, f"model.{key}", value, merge=False, force_add=True)
            for key, value in self.defaults.items():
                OmegaConf.update(config, key, value, merge=False, force_add=True)
            if self.are_whole_space:
                config.space = {}
            for path, node in self.domains.items():
                OmegaConf.update(config, f"space.{path}", node, merge=False, force_add=True)
                if self._lacks_baseline(config, path):
                    OmegaConf.update(config, path, baseline_of(path, node), force_add=True)

    def _lacks_baseline(self, config: DictConfig, path: str) -> bool:
        """Whether a class or function of the user's own may read a knob's key that nobody gave:
        a new one, or one whose shipped value, meant for our trainer, lies outside the domain.
        """
        reader_is_own = not is_stock(config)
        reader_is_own |= path.startswith("model.") and bool(self.model)
        is_option = any(path.startswith(f"{group}.") for group in self.domains if group != path)
        if not reader_is_own or is_option:
            return False
        value = OmegaConf.select(config, path, default=self)
        if value is self or path in self.defaults or not is_number(value):
            return value is self
        (knob,) = read_space({path: self.domains[path]})
        return not knob.holds(value) and is_shipped_default(path, value)

    def _takes_domain(self, word: str) -> bool:
        """Whether a word gives a knob its domain, which is then read."""
        key, _, value = word.partition("=")
        prefix = next((name for name in (SPACE, KNOB) if key.lstrip("+").startswith(name)), "")
        if not prefix or (prefix == SPACE and "(" not in value):
            return False
        path = key.lstrip("+").removeprefix(prefix)
        self.domains[path] = read_domain(f"{prefix}{path}", value)
        self.are_whole_space |= prefix == KNOB
        return True

    def _takes_detail(self, key: str, override: Override) -> bool:
        """Whether a word sets a key of such a domain, as `space.optimizer.lr.points=5`."""
        path, _, detail = key.removeprefix(SPACE).rpartition(".")
        if not key.startswith(SPACE) or path not in self.domains or override.is_delete():
            return False
        self.domains[path][detail] = override.value()
        return True


def baseline_of(path: str, node: Mapping[str, Any]) -> Value:
    """The value of a new key before it is tuned: the first choice, or the middle of the range."""
    (knob,) = read_space({path: node})
    return knob.within(0.0 if knob.choices else 0.5)


def parse_override(word: str) -> Override:
    """A word by Hydra's grammar.

    Raises:
        UsageError: it is none.
    """
    remedy = "put odd text into quotes: key='\"…\"'"
    if word.partition("=")[2].startswith("["):
        odd = ODD.search(word.partition("=")[2])
        remedy = (
            f'put each word with = or braces into quotes, here "{odd[1]}"'
            if odd
            else "put each odd word of the list into quotes, as key='[a,\"--b=2\"]'"
        )
    try:
        override = OverridesParser.create().parse_override(word)
        if override.key_or_group:
            return override
        reason = "no key"
    except HydraException as error:
        reason = str(error).splitlines()[0].partition(" expecting ")[0]
        if "LexerNoViableAlt" in reason:
            reason = "a character that the grammar does not know"
        if "=" not in word:
            reason, remedy = "no =", f"say {shortened(redacted(word))}=…"
    rule = "an override is key=value, +key=value or ~key"
    raise refused(
        f"Error parsing override {shortened(redacted(word))!r}",
        code="no-override",
        rule=rule,
        got=reason,
        remedy=remedy,
    )


def _has_own_model(words: Sequence[str]) -> bool:
    """Whether the model's class is named, and its group neither chosen nor edited by deletions."""
    keys = [word.partition("=")[0] for word in words]
    is_edited = any(key == "model" or key.startswith("~model.") for key in keys)
    return not is_edited and TARGET in (key.lstrip("+") for key in keys)


def _has_own_rows(words: Sequence[str]) -> bool:
    """Whether a function of the user's own is named beside no choice of `data=`."""
    given = dict(word.lstrip("+").partition("=")[::2] for word in words)
    return not given.get(LOADER, "trainers.").startswith("trainers.") and "data" not in given


def value_word(value: Any) -> str:
    """A value as the grammar reads it back: quoted where it would be another one without."""
    value = value.item() if hasattr(value, "item") else value  # a number of numpy's
    if isinstance(value, list | tuple):
        return f"[{','.join(map(value_word, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{value_word(each)}' for key, each in value.items())}}}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if PLAIN.fullmatch(value) and value.lower() not in CONSTANTS and value != "None":
        return value
    escaped = re.sub(r'(\\*)("|$)', lambda end: end[1] * 2 + "\\" * bool(end[2]) + end[2], value)
    return f'"{escaped}"'


def in_grammar(word: str) -> str:
    """A word as Hydra's grammar takes it.

    `placement.gpus=0,2` becomes a list; Hydra would take the comma for a sweep of its own. A text
    with letters that Hydra takes only in quotes, such as `name=größe`, gets them, and so does
    a mark that stands alone, such as `data.separator=;`: a shell has taken its quotes.
    """
    key, _, value = word.partition("=")
    if value in LONE_MARKS:
        return f'{key}="{value}"'
    if key == "placement.gpus" and value[:1].isalnum() and value != "null":
        return f"{key}=[{value}]"
    is_plain = not value.isascii() and not set(value) & MARKS
    return f"{key}='{value}'" if is_plain else word
