"""What can go wrong, as one tree of errors.

    Told                      printed as one message, never as a traceback
    ├── SearchError           an Exception
    │   ├── UsageError        the command, a config or a folder is wrong: exit 2, nothing written
    │   └── RunError          the search itself failed: exit 1
    └── Interrupted           Ctrl-C or SIGTERM, a KeyboardInterrupt: exit 130

Every message says where, which rule, what was got and what to do. Its code, in brackets behind it
on the command line, is the name of the broken rule. It stands where the error is raised, there
only, and it stays when the words change: tests and programs match the code. A function `check_…`
raises UsageError where what its first sentence says is not so.

A code belongs to what ends a command or a call of `search.run`. Three kinds of errors have none:
what `trainers/` or a user's own trainer raises (ValueError, TypeError: a trial's error, or the
words of an error of ours), what workers and conductor say of their messages (MessageError), and
errors of a programmer (TypeError, AttributeError).
"""

import difflib
import errno
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

LONGEST = 500  # characters of a foreign value that a message shows
FEW = 12  # names above which a message names the nearest alone, and what lists all
MANY = 50  # the same, where none is near or nothing lists them
NEAREST = 3  # so many of them
# What helps where a file may not be written: for a search to begin, and for one that has begun.
ELSEWHERE = "choose another results_root="
COPY = "copy the search's folder to where it may be written, and name the place: results_root="
FULL = (errno.ENOSPC, errno.EDQUOT)
# Limits of the machine, each with what it must let happen, and how it is raised.
LIMITS = {
    errno.EAGAIN: ("let another process or thread begin", "ulimit -u, or the container's"),
    errno.EMFILE: ("let another file be opened", "ulimit -n"),
    errno.ENFILE: ("let another file be opened", "fs.file-max"),
    errno.ENOMEM: ("give the program more memory", "ulimit -v, or the container's"),
}
NO_THREAD = "can't start new thread"  # Python's own text for EAGAIN
NO_LIBRARY = "failed to map segment"  # the loader's for ENOMEM
# what no code of ours prevents
REFUSED = (
    *FULL, *LIMITS, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS,
    errno.ENAMETOOLONG, errno.EFBIG, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ELOOP,
)  # fmt: skip


class Told(BaseException):
    """Base of all that a user can cause or must hear of. `exit_code` is the process's.

    Args:
        text: the message, as `str` gives it.
        code: name of the broken rule in kebab case, such as "range-holds-no-value".
    """

    exit_code = 1
    parts: tuple[str, ...] = ()  # place and rule, what was got, the remedy; empty for another form

    def __init__(self, text: str, *, code: str) -> None:
        super().__init__(text)
        self.code = code

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Python's own way would make it again from the text alone, without the code."""
        return partial(type(self), code=self.code), self.args, self.__dict__


class SearchError(Told, Exception):
    """Base of the errors."""


class UsageError(SearchError):
    """The command, a config or the state of a folder is wrong; nothing was written."""

    exit_code = 2


class RunError(SearchError):
    """The search was started rightly and could not be carried out."""

    exit_code = 1


class Interrupted(Told, KeyboardInterrupt):
    """The user (or a scheduler) asked the search to stop.

    No error: a script that says `except Exception` around one of many searches must not begin the
    next one.
    """

    exit_code = 130


def broken_rule(where: str, *, rule: str, got: object, remedy: str) -> str:
    """One message in the house form: *where*: rule, but got …; remedy."""
    return f"{where}: {rule}, but got {shortened(str(got))}; {remedy}"


def refused(where: str, *, code: str, rule: str, got: object, remedy: str) -> UsageError:
    """The error for a command, a config or a folder that breaks a rule."""
    error = UsageError(broken_rule(where, rule=rule, got=got, remedy=remedy), code=code)
    error.parts = f"{where}: {rule}", f"but got {shortened(str(got))}", remedy
    return error


def disk_error(error: OSError, *, path: object, remedy: str = ELSEWHERE) -> SearchError:
    """What the file system refuses, as an error of the run or of the command.

    Args:
        path: what is named where the error names no file.
        remedy: what helps where the place may not be written, and is not to be mended.
    """
    where = error.filename2 or error.filename or path
    # Where numpy could write a part of an array only, it says so without a number.
    is_short_write = error.errno is None and "requested and" in str(error)
    number = errno.ENOSPC if is_short_write else error.errno
    if number in LIMITS:
        return limit_error(number)
    text = f"{where}: {os.strerror(number) if number else error}"
    if number == errno.EEXIST and os.path.islink(str(where)) and not os.path.exists(str(where)):
        text = f"{where}: a link to {os.readlink(str(where))}, and nothing is there"
    if error.errno == errno.EISDIR:
        got, remedy = (error.strerror or "").lower(), "restore it from a copy"
        return refused(str(where), code="not-a-file", rule="must be a file", got=got, remedy=remedy)
    if number in FULL:
        return RunError(
            f"{text}; free some space and give the same command again, nothing that was "
            "recorded is lost",
            code="disk-is-full",
        )
    return UsageError(f"{text}; mend it, or {remedy}", code="disk-refuses")


def limit_error(number: int) -> RunError:
    """A limit of the machine that was reached, such as `errno.EAGAIN`."""
    rule, how = LIMITS[number]
    remedy = f"raise that limit ({how}), or train fewer at once: placement.slots=1"
    got = os.strerror(number)
    text = broken_rule("this machine", rule=f"must {rule}", got=got, remedy=remedy)
    return RunError(text, code="machine-limit-reached")


def unknown(
    kind: str,
    *,
    name: str,
    known: Iterable[str],
    nearest: str = "",
    listing: str = "",
    remedy: str = "",
) -> str:
    """The message for a name that does not exist: the nearest one first, then all that exist; of
    many, the nearest alone, and what lists all.

    Args:
        kind: what is named, such as "key".
        nearest: a name that exists elsewhere and is meant more likely than any of `known`.
        listing: the command that lists all that exist.
        remedy: what to do where the name is meant, before the list, which may be long.
    """
    names = sorted(known)
    prefix = name.rpartition(".")[0]
    prefix = f"{prefix}." if all(each.startswith(f"{prefix}.") for each in names) else ""
    endings = {each.removeprefix(prefix): each for each in names}  # a common start says nothing
    is_long = len(names) > MANY
    word = name[:LONGEST].removeprefix(prefix)
    close = difflib.get_close_matches(word, endings, n=NEAREST if is_long else 1)
    if is_long:  # `lr` is part of names that difflib finds far away
        close += [each for each in endings if word in each.split("_") and each not in close]
    near = [nearest] if nearest else [endings[ending] for ending in close[:NEAREST]]
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    there = f"there are: {', '.join(names) or 'none'}"
    if len(names) > (FEW if near and listing else MANY) and (near or listing):
        there = f"there are {len(names)}{f', listed by {listing}' if listing else ''}"
    meant = f"{remedy}; " if remedy else ""
    return f"{kind} {shortened(name)!r} does not exist; {hint}{meant}{there}"


def shortened(text: str) -> str:
    """A text on one line of at most 500 characters: the middle of a longer one is left out."""
    text = " ".join(line.strip() for line in text.splitlines())
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]} … {text[-LONGEST // 4 :]} ({len(text)} characters)"
