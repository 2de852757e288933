"""The door: a command line finds its verb or experiment; errors become exit codes.

Never composes itself.
"""

import errno
import gc
import importlib
import importlib.util
import io
import os
import shutil
import signal
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from search.config import catalogue
from search.config.hidden_modules import hiding, is_hidden, loaded_in_place, named_in
from search.config.program_name import as_started
from search.config.text import for_terminal, is_terminal
from search.config.version import __version__
from search.errors import NO_LIBRARY, NO_THREAD, REFUSED, Told, disk_error, limit_error, refused
from search.execution.signals import signals_handled

HELP = ("-h", "--help")
COPIED = ("python -m search ", "pip install ")  # commands that a message gives


def main(arguments: list[str]) -> int:
    """Runs one command line, without the program's name.

    Returns:
        The exit code: 0 done, 1 the search failed, 2 the command was wrong, 130 interrupted.
    """
    try:
        _check_readable(_working_folder(), *arguments)
        words, config_dir = _take_config_dir(arguments)
        if words == ["--version"]:
            print(f"knobwise {__version__}")
            return 0
        if not words or words[0] in HELP:
            catalogue.verb("list").run([], config_dir)
            return 0 if words else 2
        _check_not_hidden()
        if set(HELP) & set(words[1:]):
            return int(catalogue.verb("help").run(words[:1], config_dir))
        return _run(words, config_dir)
    except Told as error:
        return _failed(_named_hiding(error) or error)
    except KeyboardInterrupt:  # before the search listens to it, or while its tables are written
        text = "search: interrupted; the same command begins, or goes on [interrupted]"
        print(text, file=sys.stderr)
        return 130
    except (ImportError, AttributeError) as error:
        return _failed(_import_error(error))
    except BrokenPipeError:  # the reader of our output has gone, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        return _failed(disk_error(error, path="disk"))
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        return _failed(limit_error(errno.EAGAIN))
    except MemoryError:
        return _failed(limit_error(errno.ENOMEM))


def _failed(error: Told) -> int:
    text = f"search: {error} [{error.code}]"
    if is_terminal(sys.stderr) and "\n" not in text:  # else it has lines already
        text = _in_lines(error)
    print(for_terminal(as_started(text)), file=sys.stderr)
    return error.exit_code


def _in_lines(error: Told) -> str:
    """A message as people read it: its parts and its code on lines of their own, which are broken
    between words. A command is not broken, since it is copied.

    A pipe or a log gets one line, which programs match.
    """
    width = shutil.get_terminal_size().columns
    first, *others = error.parts or str(error).split("; ")
    lines = [f"search: {first}", *(f"  {other}" for other in others), f"  [{error.code}]"]
    return "\n".join(
        line
        if any(command in line for command in COPIED)
        else textwrap.fill(
            line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        for line in lines
    )


def _import_error(error: ImportError | AttributeError) -> Told:
    """What has kept a module of ours, or of a package that it needs, from being imported; raises
    the error again where that is nothing of the user's.
    """
    if path := _hiding(error):
        return is_hidden(path)
    if isinstance(error, ImportError) and NO_LIBRARY in str(error):
        return limit_error(errno.ENOMEM)
    if not isinstance(error, ModuleNotFoundError) or not _is_lacking(error):
        raise error
    return refused(
        sys.executable,
        code="python-lacks-package",
        rule="must have the packages that Knobwise needs",
        got=f"no package {error.name}",
        remedy="activate the environment in which Knobwise is installed, or install it: "
        "pip install -c constraints.txt -e .",
    )


def _hiding(error: ImportError | AttributeError) -> Path | None:
    """The file or folder of the current folder that was imported in place of the module which the
    error is about, such as a random.py of the user's; None if it is no such error.
    """
    named = error.name if isinstance(error, ImportError) else getattr(error.obj, "__name__", None)
    if isinstance(error, ImportError) and not named:  # compiled code does not say from which module
        return loaded_in_place()
    name = str(named or "").partition(".")[0]
    path = hiding(name)
    file = str(getattr(sys.modules.get(name), "__file__", None) or "")
    return path if path is not None and file.startswith(str(path)) else None


def _named_hiding(error: BaseException) -> Told | None:
    """The error in place of one whose cause is that a file of the current folder was imported in
    place of a module that it names; None if it has no such cause.
    """
    cause: BaseException | None = error.__cause__
    while cause is not None:
        if isinstance(cause, ImportError) and (path := named_in(str(cause))):
            return is_hidden(path)
        cause = cause.__cause__
    return None


def _is_lacking(error: ModuleNotFoundError) -> bool:
    """Whether a file of ours has asked for a package that this Python lacks."""
    origin, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        origin = origin if file.startswith("<") else file  # of importlib
        trace = trace.tb_next
    ours = catalogue.PACKAGE.parent
    return any(Path(origin).is_relative_to(ours / name) for name in ("search", "trainers"))


def console() -> None:
    """The console script `knobwise`: works in a folder whose modules are named like ours.

    Python does not put the current folder on the path of a script, so our packages are found first;
    then the folder comes first on the path, for a user's own modules.
    """
    importlib.import_module("trainers")
    with suppress(FileNotFoundError):  # a removed folder has no modules, and main refuses it
        sys.path.insert(0, os.getcwd())
    exit_with_main()


def exit_with_main() -> NoReturn:
    """Runs the process's command line; output that takes no such letter as … shows a ? there."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with signals_handled(signal.default_int_handler):  # SIGTERM and SIGHUP end it as Ctrl-C does
        code = main(sys.argv[1:])
    gc.freeze()  # all goes with the process: looking for garbage would take 0.1 s
    sys.exit(code)


def _run(words: list[str], config_dir: Path | None) -> int:
    """A verb, or the experiment that `run` may be left out for."""
    word, verbs = words[0], catalogue.verbs()
    if word in verbs:
        return int(catalogue.verb(word).run(words[1:], config_dir))
    experiments = catalogue.experiments(config_dir)
    if word not in experiments:
        unknown = catalogue.unknown_word(word, experiments, words=words)
        raise catalogue.misplaced("experiment", word, config_dir=config_dir) or unknown
    return int(catalogue.verb("run").run(words, config_dir))


def _check_not_hidden() -> None:
    """Refuses a user's module or folder that comes before our other package on the path.

    Raises:
        UsageError: `trainers` would be imported from elsewhere.
    """
    spec = importlib.util.find_spec("trainers")
    origin = spec.origin if spec is not None else None
    if origin is not None and Path(origin).parent.parent != catalogue.PACKAGE.parent:
        raise refused(
            origin,
            code="package-is-hidden",
            rule="must not hide Knobwise's own package",
            got="the name `trainers`",
            remedy="rename it, or use the command `knobwise` in place of `python -m search`",
        )


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise refused(
            "the shell's folder",
            code="folder-gone",
            rule="must exist",
            got="one that has been removed",
            remedy="go to a folder that exists with cd",
        ) from None


def _check_readable(*texts: str) -> None:
    """Refuses a folder or a word with letters that Python cannot read here: no message or file
    could hold them.

    Raises:
        UsageError: the locale is none of UTF-8, and there is such a letter.
    """
    for text in texts:
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise refused(
                text.encode(errors="replace").decode(),
                code="letters-not-readable",
                rule="must be readable in the locale of this shell",
                got="letters that it does not know",
                remedy="set PYTHONUTF8=1",
            )


def _take_config_dir(arguments: list[str]) -> tuple[list[str], Path | None]:
    words, folder = list(arguments), None
    for index, word in enumerate(words):
        if word == "--config-dir":
            if index + 1 == len(words):
                raise refused(
                    "--config-dir",
                    code="config-dir-needs-folder",
                    rule="needs a folder after it",
                    got="nothing",
                    remedy="give the folder's path",
                )
            folder = Path(words[index + 1])
            del words[index : index + 2]
            break
        if word.startswith("--config-dir="):
            folder = Path(word.partition("=")[2])
            del words[index]
            break
    return words, folder.absolute() if folder is not None else None


if __name__ == "__main__":
    exit_with_main()
