"""What a check says: pass, note, warn, fail or not checkable, with the numbers that decided, the rule and the remedy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Outcome = Literal["pass", "note", "warn", "fail", "not checkable"]
# Every check, in the order of a reader, and the checks whose failure explains its own: mend those first.
SCALE = ("missing_values", "feature_scales", "targets")
START = (*SCALE, "output_layer", "initial_weights", "batches", "optimizer_steps")
MODEL = ("gradients", "dead_units", "first_loss", "evaluation_mode", "batch_norm")
CAUSES: dict[str, tuple[str, ...]] = {
    "class_balance": (),
    "same_distribution": (),
    "shared_rows": (),
    "shared_groups": (),
    "missing_values": (),
    "constant_features": (),
    "extreme_values": (),
    "feature_scales": ("extreme_values",),
    "targets": (),
    "contradictions": (),
    "telltale_feature": (),
    "label_signal": (),
    "label_noise": ("label_signal", "contradictions", "labels_matter"),
    "label_order": (),
    "trains": ("batch_norm", "output_layer", "learning_rate", "batches", *SCALE),
    "batches": (),
    "shuffling": ("batches",),
    "output_layer": (),
    "first_loss": (*SCALE, "output_layer", "batches"),
    "initial_weights": (),
    "gradients": (*START, "dead_units"),
    "optimizer_steps": (),
    "dead_units": START,
    "evaluation_mode": (),
    "batch_norm": (),
    "learning_rate": (*START, "batch_norm", "first_loss", "gradients", "dead_units"),
    "repeatable": (),
    "capacity": (),
    "overfit": (*START, *MODEL, "own_gradients", "contradictions"),
    "labels_matter": (*START, *MODEL, "overfit", "label_signal"),
    "speed": (),
    "own_gradients": (),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. `told`: what was found, in a sentence; `remedy`: what to do, where something is to be done."""

    name: str
    rule: str
    outcome: Outcome
    told: str
    remedy: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Writes checks of one name and rule."""

    name: str
    rule: str

    def passed(self, told: str, **measured: Any) -> Check:
        """All is well."""
        return self._check("pass", told, "", measured)

    def note(self, told: str, remedy: str = "", **measured: Any) -> Check:
        """Worth knowing, and no fault."""
        return self._check("note", told, remedy, measured)

    def warn(self, told: str, remedy: str, **measured: Any) -> Check:
        """Likely a fault; the search may go on."""
        return self._check("warn", told, remedy, measured)

    def fail(self, told: str, remedy: str, **measured: Any) -> Check:
        """A fault that makes a search a waste."""
        return self._check("fail", told, remedy, measured)

    def unknown(self, cause: str, **measured: Any) -> Check:
        """Not checkable, because …"""
        return self._check("not checkable", f"because {cause}", "", measured)

    def _check(self, outcome: Outcome, told: str, remedy: str, measured: Mapping[str, Any]) -> Check:
        return Check(name=self.name, rule=self.rule, outcome=outcome, told=told, remedy=remedy, measured=measured)


def excused(checks: Iterable[Check]) -> tuple[Check, ...]:
    """In order, and without the faults that another one explains: they cannot be judged before that one is mended."""
    found = {check.name: check for check in checks}
    failed = {name for name, check in found.items() if check.outcome == "fail"}

    def judged(check: Check) -> Check:
        causes = [name for name in CAUSES[check.name] if name in failed]
        if check.outcome not in ("warn", "fail") or not causes:
            return check
        told = f"because {causes[0]} has failed and explains it: {check.told}"
        return replace(check, outcome="not checkable", told=told, remedy="")

    return tuple(judged(found[name]) for name in CAUSES if name in found)
