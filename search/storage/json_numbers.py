"""What is told, as a JSON file for people and other programs holds it. Knows no file."""

import math
from typing import Any


def plain(told: Any) -> Any:
    """The same as JSON knows it: plain numbers, None for those that are not finite, text as keys."""
    if isinstance(told, dict):
        return {str(key): plain(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [plain(value) for value in told]
    if hasattr(told, "item"):
        told = told.item()
    return None if isinstance(told, float) and not math.isfinite(told) else told
