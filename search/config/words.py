"""The words `key=value` of a command, before anything heavy is imported to read them."""

from collections.abc import Sequence

# Keys, and beginnings of keys, that leave the value of a training as it is.
HARMLESS = (
    "name=", "results_root=", "placement.", "keep=", "report=", "rehearse=", "figures.",
    "callbacks", "preflight", "storage.",
)  # fmt: skip


EXPERIMENT = "lr_sweep"  # whose set-up counts where a command names none


def with_experiment(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The experiment, if the first word names one; and the other words."""
    return (words[0], [*words[1:]]) if words and "=" not in words[0] else (None, [*words])


def key_of(word: str) -> str:
    """The key that a word sets, adds (`+`) or removes (`~`)."""
    return word.lstrip("+~").partition("=")[0]


def group_of(word: str) -> str:
    """The first part of the key that a word sets, adds or removes: a config group, mostly."""
    return key_of(word).partition(".")[0]


def take(words: Sequence[str], key: str) -> tuple[str | None, list[str]]:
    """The last value of `key=VALUE` among the words, and the words without it.

    For keys that Hydra must not see.
    """
    values = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")]
    rest = [word for word in words if not word.startswith(f"{key}=")]
    return (values[-1] if values else None), rest


def changed_keys(words: Sequence[str], *, beside: tuple[str, ...] = ()) -> list[str]:
    """The keys by which a training may have another value. `beside`: further harmless ones."""
    return [word.partition("=")[0] for word in words if not word.startswith((*HARMLESS, *beside))]
