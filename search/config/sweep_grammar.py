"""The string grammar of Hydra's Optuna sweeper, read as a knob's node; both ends included."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, QuotedString, RangeSweep
from hydra.errors import HydraException

from search.errors import refused

FORMS = "interval(a, b), log(a, b), range(a, b), choice(…), int(interval(…)) or tag(log, …)"
NULLS = re.compile(r"^\s*choice\((.*(?<![\w.'\"])null(?![\w.'\"]).*)\)\s*$")
CAST = re.compile(r"\bint\s*\(")
MOST = 1000  # values that a range with a step may have


def read_domain(path: str, text: str) -> dict[str, Any]:
    """The node of a knob whose domain is a string.

    Raises:
        UsageError: the grammar does not know it, or it breaks one of its rules.
    """
    try:
        # `log(a, b)` is short for the sweeper's `tag(log, interval(a, b))`.
        full = re.sub(r"\blog\(([^()]*)\)", r"tag(log, interval(\1))", text)
        full = NULLS.sub(r"\1", full)  # Hydra takes null in a list of choices, not in choice()
        sweep = OverridesParser.create().parse_override(f"x={full}").value()
        is_whole = isinstance(sweep, IntervalSweep) and CAST.search(full) is not None
        if is_whole:  # int() would cut off what the ends have behind the point
            full = CAST.sub("float(", full)
            sweep = OverridesParser.create().parse_override(f"x={full}").value()
    except HydraException as error:
        got = f"{text!r} ({str(error).splitlines()[0]})"
        raise refused(
            path,
            code="domain-not-understood",
            rule=f"a knob's string is {FORMS}",
            got=got,
            remedy="see conf/README.md",
        ) from error
    if isinstance(sweep, ChoiceSweep):
        _check_tags(path, sweep.tags, text, known=())
        check_none(path, sweep.list)  # the text, not in quotes: Hydra keeps their mark
        return {"choices": [_plain(item) for item in sweep.list]}
    if isinstance(sweep, RangeSweep):
        _check_tags(path, sweep.tags, text, known=())
        return _range(path, sweep, text)
    if not isinstance(sweep, IntervalSweep):
        remedy = "give interval(a, b) or choice(a, b)"
        raise refused(
            path,
            code="domain-of-one-value",
            rule="a knob needs more than one value",
            got=repr(text),
            remedy=remedy,
        )
    _check_tags(path, sweep.tags, text, known=("log",))
    return {
        "low": sweep.start,
        "high": sweep.end,
        "type": "int" if is_whole else "float",
        "scale": "log" if "log" in sweep.tags else "linear",
    }


def check_none(path: str, choices: Sequence[Any]) -> None:
    """Refuses None without quotes among choices, which YAML and Hydra read as a text."""
    if "None" in choices:
        raise refused(
            path,
            code="choice-of-bare-none",
            rule="null is no value, while None is a text",
            got=str(choices),
            remedy="say null; for the text, choice('None', …)",
        )


def _range(path: str, sweep: RangeSweep, text: str) -> dict[str, Any]:
    """Whole numbers for a step of 1; else choices, computed in decimals: 3 × 0.1 is 0.3."""
    ends = (sweep.start or 0, sweep.stop or 0, sweep.step)
    start, stop, step = (Decimal(str(end)) for end in ends)
    if not all(number.is_finite() for number in (start, stop, step)) or step <= 0 or start >= stop:
        rule = "a range rises from its start to its end by a step above 0"
        raise refused(
            path,
            code="domain-does-not-rise",
            rule=rule,
            got=repr(text),
            remedy="give range(a, b) or range(a, b, step)",
        )
    are_whole = all(isinstance(end, int) for end in ends)
    if are_whole and step == 1:
        return {"low": int(start), "high": int(stop), "type": "int", "scale": "linear"}
    count = int((stop - start) / step) + 1
    if count > MOST:
        rule, remedy = f"a range with a step has at most {MOST} values", "give interval(a, b)"
        raise refused(
            path,
            code="domain-of-too-many-values",
            rule=rule,
            got=f"{count} by {text}",
            remedy=remedy,
        )
    numbers = [start + index * step for index in range(count)]
    return {"choices": [int(number) if are_whole else float(number) for number in numbers]}


def _check_tags(path: str, tags: set[str], text: str, *, known: tuple[str, ...]) -> None:
    strange = sorted(set(tags) - set(known))
    if strange:
        rule = "the only tag is log, and it goes with an interval"
        remedy = "give tag(log, interval(a, b)) or tag(log, int(interval(a, b)))"
        raise refused(path, code="domain-has-strange-tag", rule=rule, got=repr(text), remedy=remedy)


def _plain(item: Any) -> Any:
    """Hydra's quoted strings as plain ones."""
    return item.text if isinstance(item, QuotedString) else item
