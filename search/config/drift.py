"""In which keys two configs of one search differ, and in which of them they may."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from search.config.shipped_defaults import is_former_default, is_shipped_default

# Keys that may change from start to start: those that begin so, and these.
FREE = ("placement.", "preflight.", "lr_range.", "callbacks", "confirm.", "figures.")
FREE_KEYS = (
    "lanes", "results_root", "rehearse", "report", "accept_code", "storage.patience",
    "chosen.preflight", "chosen.callbacks",
)  # fmt: skip


def flat_config(config: DictConfig) -> dict[str, Any]:
    """Every leaf of a config by its dotted path, links as written."""

    def leaves(node: Any, prefix: str) -> dict[str, Any]:
        if isinstance(node, Mapping) and node:
            return {
                path: leaf
                for key, value in node.items()
                for path, leaf in leaves(value, f"{prefix}.{key}").items()
            }
        return {prefix.lstrip("."): node}

    return leaves(OmegaConf.to_container(config, resolve=False), "")


def drift(old: DictConfig, new: DictConfig, *, grown: bool = False) -> list[str]:
    """A line per key in which a resumed search may not differ from its first start.

    `grown`: the keys instead by which the search has been extended, and which must be written down.
    """
    before, now = flat_config(old), flat_config(new)
    lines = []
    for key in sorted({*before, *now}):
        if before.get(key) == now.get(key) or key.startswith(FREE) or key in FREE_KEYS:
            continue
        if key not in before and is_shipped_default(key, now[key]):
            continue  # the search was begun before there was such a key
        if is_former_default(key, before.get(key), now.get(key)) or (
            key in before and _became_a_link(key, before[key], now.get(key), new)
        ):
            continue
        if (
            key.removeprefix("chosen.").startswith(("sampler", "pruner"))
            and now.get("protocol.kind") != "joint"
        ):
            continue  # nobody proposes or prunes there
        extended = (
            key.startswith("budget_")
            or key == "n_trials"
            or (key == "seeds" and now.get(key, 0) > before.get(key, 0))
        )
        if extended == grown:
            lines.append(
                f"{key}: {before.get(key, 'missing')} there, {now.get(key, 'missing')} now"
            )
    return lines


def _became_a_link(key: str, before: object, now: object, new: DictConfig) -> bool:
    """Whether a shipped file links a key today, and the link leads to the value from before."""
    is_link = isinstance(now, str) and "${" in now and is_shipped_default(key, now)
    return is_link and bool(OmegaConf.select(new, key) == before)
