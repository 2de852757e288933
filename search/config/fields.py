"""Single keys of a config, read and checked: whole numbers, positive ones, names.

Never looks at two keys together.

Every function raises UsageError with the key, the rule and what was there instead.
"""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from search.errors import UsageError, refused, unknown


def whole(config: DictConfig, path: str, *, least: int, missing: int | None = None) -> int:
    """A whole number; `missing` where folders of earlier versions have no such key."""
    value = OmegaConf.select(config, path, default=missing)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise refused(
            path,
            code="needs-whole-number",
            rule=f"must be a whole number of at least {least}",
            got=repr(value),
            remedy=f"say {path}={least} or more",
        )
    return value


def whole_or_none(config: DictConfig, path: str, *, least: int) -> int | None:
    """A whole number; None where there is none."""
    return None if OmegaConf.select(config, path) is None else whole(config, path, least=least)


def positive(config: DictConfig, path: str) -> float:
    """A number above 0."""
    value = OmegaConf.select(config, path)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise refused(
            path,
            code="needs-positive-number",
            rule="must be a number above 0",
            got=repr(value),
            remedy="mend it",
        )
    return float(value)


def positive_or_none(config: DictConfig, path: str) -> float | None:
    """A number above 0; None where there is none."""
    return None if OmegaConf.select(config, path) is None else positive(config, path)


def hours_in_seconds(config: DictConfig) -> float | None:
    """`budget_hours` in seconds; None without a limit."""
    hours = positive_or_none(config, "budget_hours")
    return None if hours is None else 3600 * hours


def one_of(config: DictConfig, path: str, known: Sequence[str]) -> str:
    """One of some names; the message of a wrong one lists them."""
    value = str(OmegaConf.select(config, path))
    if value not in known:
        raise UsageError(unknown(path, name=value, known=known), code="unknown-name-of-setting")
    return value
