"""Passwords in addresses of databases: they reach no config, file or message.

A password comes from the environment, or is taken off the address that a command gives and kept in
the memory of this process alone.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

# `://user:password@`, up to the last @ before a query: either may hold an @ that is not quoted.
USER = re.compile(r"(?P<user>://[^/\s:]*):[^@\s]*@(?:(?:(?![?&]\w+=)\S)*@)?")
PARAMETER = re.compile(r"(?P<name>[?&]\w*passw(?:or)?d)=[^&\s]*", re.IGNORECASE)
LINK = "${"

_complete: dict[str, str] = {}  # addresses with their password, by the address without


def redacted(text: str) -> str:
    """A text for people, in which no address shows its password."""
    return PARAMETER.sub(r"\g<name>=***", USER.sub(r"\g<user>:***@", text))


def without_password(config: "DictConfig") -> "DictConfig":
    """A config whose address has no password; this process remembers it for `complete`.

    A link, such as `${oc.env:PG_URL}`, stays: nobody writes down what it leads to.
    """
    from omegaconf import OmegaConf  # a first line on the screen does not wait for it

    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    address = (plain.get("storage") or {}).get("url")
    if not isinstance(address, str) or LINK in address:
        return config
    kept = PARAMETER.sub("", USER.sub(r"\g<user>@", address))
    if kept == address:
        return config
    _complete[kept] = address
    plain["storage"]["url"] = kept
    changed = OmegaConf.create(plain)
    OmegaConf.set_readonly(changed, True)
    return changed


def complete(address: str) -> str:
    """An address as a database needs it, with the password that a command gave."""
    return _complete.get(address, address)
