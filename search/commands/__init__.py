"""One module per verb, named by the verb, loaded only when it is chosen.

Each has SUMMARY, USAGE and run(words, config_dir) → exit code.
"""

from search.errors import UsageError


def take(words: list[str], key: str) -> tuple[str | None, list[str]]:
    """The last value of `key=VALUE` among the words, and the words without it.

    For keys that Hydra does not get to see.
    """
    values = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")]
    return (values[-1] if values else None), [
        word for word in words if not word.startswith(f"{key}=")
    ]


def one_name(words: list[str], usage: str) -> str:
    """The one word that a verb takes.

    Raises:
        UsageError: none or several.
    """
    if len(words) != 1:
        raise UsageError(
            f"{usage.split()[0]}: needs one name, but got {' '.join(words) or 'none'}; "
            f"usage: python -m search {usage}"
        )
    return words[0]
