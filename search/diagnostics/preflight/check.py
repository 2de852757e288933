"""What a check says: pass, note, warn, fail, not checkable; the numbers, the rule, the remedy."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from search.config.preflight_checks import CAUSES

Outcome = Literal["pass", "note", "warn", "fail", "not checkable"]
MOST = 0.5  # of the checks, above which those that could not be made are said first


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. `told`: what was found, in a sentence; `remedy`: what to do, if anything."""

    name: str
    rule: str
    outcome: Outcome
    told: str
    remedy: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What came of it. `seconds`: that the first look, the questions of single checks and the data
    took, which are looked at meanwhile; waiting for a processor does not count.
    """

    checks: tuple[Check, ...]
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Writes checks of one name and rule."""

    name: str
    rule: str

    def passed(self, text: str, **measured: Any) -> Check:
        """All is well."""
        return self._check("pass", text, "", measured)

    def note(self, text: str, remedy: str = "", **measured: Any) -> Check:
        """Worth knowing, and no fault."""
        return self._check("note", text, remedy, measured)

    def warn(self, text: str, remedy: str, **measured: Any) -> Check:
        """Likely a fault; the search may go on."""
        return self._check("warn", text, remedy, measured)

    def fail(self, text: str, remedy: str, **measured: Any) -> Check:
        """A fault that makes a search a waste."""
        return self._check("fail", text, remedy, measured)

    def unknown(self, cause: str, **measured: Any) -> Check:
        """Not checkable, because …"""
        return self._check("not checkable", f"because {cause}", "", measured)

    def _check(
        self, outcome: Outcome, text: str, remedy: str, measured: Mapping[str, Any]
    ) -> Check:
        return Check(
            name=self.name,
            rule=self.rule,
            outcome=outcome,
            told=text,
            remedy=remedy,
            measured=measured,
        )


def excused(checks: Iterable[Check], parts: Mapping[str, str] | None = None) -> tuple[Check, ...]:
    """The checks in order. A fault that another explains is not judged until that one is mended.

    `parts`: by path of a knob of the user's, the stock trainer's name of it, which remedies have.
    """
    by_name = {check.name: check for check in checks}
    failed = {name for name, check in by_name.items() if check.outcome == "fail"}

    def root(name: str) -> str:
        """The fault behind a fault; itself where nothing explains it."""
        cause = next((cause for cause in CAUSES[name] if cause in failed), None)
        return name if cause is None else root(cause)

    def judged(check: Check) -> Check:
        cause = root(check.name)
        if check.outcome not in ("warn", "fail") or cause == check.name:
            remedy = check.remedy
            for path, part in (parts or {}).items():
                remedy = re.sub(rf"\b{re.escape(part)}\b(?!=)", path, remedy)  # its values differ
            return replace(check, remedy=remedy)
        text = f"because {cause} has failed and explains it: {check.told}"
        return replace(check, outcome="not checkable", told=text, remedy="")

    return tuple(judged(by_name[name]) for name in CAUSES if name in by_name)


def unmade(checks: Iterable[Mapping[str, Any]]) -> str:
    """How many checks could not be made, and why mostly, where they are most of them: then nothing
    that failed is no good news. Else empty.

    Args:
        checks: as `preflight.json` holds them.
    """
    told = [check["told"] if check["outcome"] == "not checkable" else "" for check in checks]
    reasons = Counter(reason for reason in told if reason)
    if reasons.total() <= MOST * len(told):
        return ""
    main = " and ".join(reason for reason, _ in reasons.most_common(2))
    return f"{reasons.total()} of {len(told)} checks could not be made, mainly {main}"
