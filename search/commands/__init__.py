"""One module per verb, named by the verb, loaded only when it is chosen: SUMMARY, USAGE, run(words, config_dir) → exit code."""

from search.errors import UsageError


def one_name(words: list[str], usage: str) -> str:
    """The one word that a verb takes.

    Raises:
        UsageError: none or several.
    """
    if len(words) != 1:
        raise UsageError(
            f"{usage.split()[0]}: needs one name, but got {' '.join(words) or 'none'}; usage: python -m search {usage}"
        )
    return words[0]
