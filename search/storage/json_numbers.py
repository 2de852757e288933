"""Values as a JSON file for people and other programs holds them. Reads and writes no file."""

import math
from typing import Any


def plain(value: Any) -> Any:
    """The value in JSON's types: plain numbers, None for numbers that are not finite, text keys."""
    if type(value) is float:  # nearly every value of a record
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
