"""The rules that texts cite, such as P5, spelled out by the table in `search/README.md`."""

import re
from functools import cache
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
NAME = r"[RP]\d+[a-c]?"
ROW = re.compile(rf"^\| ((?:{NAME}(?: – |, )?)+) \| (.+?) \|$", re.MULTILINE)
CITED = re.compile(rf"\b{NAME}\b")


@cache
def rules() -> dict[str, str]:
    """Rule → what it says. A row may explain several rules, one by one or together."""
    texts: dict[str, str] = {}
    for names, text in ROW.findall(README.read_text("utf-8")):
        plain = text.replace("`", "")
        parts = re.split(rf"(?:^|(?<=\. ))({NAME}): ", plain)
        for name in _named(names):
            texts[name] = parts[0].strip() or plain
        texts |= dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    return texts


def _named(names: str) -> list[str]:
    """`R37 – R39` and `R5, R6` as single rules."""
    if " – " not in names:
        return names.split(", ")
    first, last = (int(name[1:]) for name in names.split(" – "))
    return [f"{names[0]}{number}" for number in range(first, last + 1)]
