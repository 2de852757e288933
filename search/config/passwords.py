"""Passwords in addresses of databases, and texts of the environment: they reach no file.

A password comes from the environment, or is taken off the address that a command gives and kept in
the memory of this process alone. It reaches no config or message either.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

# `://user:password@`, up to the last @ before a query: either may hold an @ that is not quoted.
USER = re.compile(r"(?P<user>://[^/\s:]*):[^@\s]*@(?:(?:(?![?&]\w+=)\S)*@)?")
PARAMETER = re.compile(r"(?P<name>[?&]\w*passw(?:or)?d)=[^&\s]*", re.IGNORECASE)
GIVEN = re.compile(r"(?<=[?&])\w*passw(?:or)?d=[^&\s]*&?", re.IGNORECASE)  # and what parts it
LINK, ENVIRONMENT = "${", "${oc.env:"

_complete: dict[str, str] = {}  # addresses with their password, by the address without


def redacted(text: str) -> str:
    """A text for people, in which no address shows its password."""
    return PARAMETER.sub(r"\g<name>=***", USER.sub(r"\g<user>:***@", text))


def without_password(config: "DictConfig") -> "DictConfig":
    """A config whose address has no password; this process remembers it for `complete`.

    A link, such as `${oc.env:PG_URL}`, stays: nobody writes down what it leads to.
    """
    from omegaconf import OmegaConf  # a first line on the screen does not wait for it

    found = OmegaConf.to_container(OmegaConf.masked_copy(config, "storage"), resolve=False)
    assert isinstance(found, dict)
    address = (found.get("storage") or {}).get("url")
    if not isinstance(address, str) or LINK in address:
        return config
    kept = GIVEN.sub("", USER.sub(r"\g<user>@", address)).rstrip("?&")
    if kept == address:
        return config
    _complete[kept] = address
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain["storage"]["url"] = kept
    changed = OmegaConf.create(plain)
    OmegaConf.set_readonly(changed, True)
    return changed


def complete(address: str) -> str:
    """An address as a database needs it, with the password that a command gave."""
    return _complete.get(address, address)


def with_environment_as_links(resolved: Any, written: Any) -> Any:
    """A resolved config in which texts from the environment, such as keys, stay the links that they
    were written as. Numbers are resolved, since a training is repeated by them.

    Args:
        resolved: the config with every link followed.
        written: the same config with links as they were written.
    """
    texts = {text for text, link in _linked_texts(resolved, written) if ENVIRONMENT in link}

    def kept(plain: Any, raw: Any) -> Any:
        if isinstance(plain, dict):
            return {key: kept(value, _at(raw, key)) for key, value in plain.items()}
        if isinstance(plain, list):
            return [kept(value, _at(raw, place)) for place, value in enumerate(plain)]
        leads = isinstance(plain, str) and any(text in plain for text in texts if text)
        return raw if leads and isinstance(raw, str) and LINK in raw else plain

    return kept(resolved, written)


def _linked_texts(resolved: Any, written: Any) -> Iterator[tuple[str, str]]:
    """Each text of a config that was written as a link, with the link."""
    if isinstance(resolved, dict | list):
        keys = resolved.keys() if isinstance(resolved, dict) else range(len(resolved))
        for key in keys:
            yield from _linked_texts(resolved[key], _at(written, key))
    elif isinstance(resolved, str) and isinstance(written, str) and LINK in written:
        yield resolved, written


def _at(node: Any, key: Any) -> Any:
    """A node's value; None where the node is a link itself, or has no such key."""
    try:
        return None if isinstance(node, str) else node[key]
    except (LookupError, TypeError):
        return None
