"""Which experiments and verbs exist, and where their configs lie.

Reads file names and first lines only; never composes.
"""

import importlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from search.config.quick_imports import quick_imports
from search.config.results_root import RESULTS
from search.errors import UsageError, refused, unknown

PACKAGE = Path(__file__).parent.parent
ROOT = "results_root="
SUMMARY = re.compile(r'^SUMMARY = "(.+)"$', re.MULTILINE)  # of a verb, in its source
# A wheel carries conf/ inside the package; a clone keeps it at its top level.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"

# A verb of other tools → the one here that answers the same question.
OF_OTHER_TOOLS = {
    "analyze": "doctor", "check": "preflight", "compare": "report", "diff": "report",
    "evaluate": "test", "optimize": "joint", "plot": "report", "show": "table",
}  # fmt: skip


def verbs() -> list[str]:
    """Names of all verbs."""
    return sorted(
        path.stem for path in (PACKAGE / "commands").glob("*.py") if not path.stem.startswith("_")
    )


def verb(name: str) -> ModuleType:
    """The module of the verb, loaded only now, so that listing stays fast."""
    with quick_imports():
        return importlib.import_module(f"search.commands.{name}")


def verb_summaries() -> dict[str, str]:
    """Verb → its SUMMARY, read from its source, since importing all verbs would load everything."""
    folder = PACKAGE / "commands"
    sources = {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in verbs()}
    return {name: SUMMARY.findall(source)[0] for name, source in sources.items()}


def experiments(config_dir: Path | None) -> dict[str, str]:
    """Experiment name → its purpose, from its file's second comment; ours first, then the user's.

    Raises:
        UsageError: two files of one name, or an experiment named like a verb.
    """
    purposes, of_verbs = dict[str, str](), verbs()
    for root in roots(config_dir):
        for path in sorted((root / "experiment").glob("*.yaml")):
            if path.stem in of_verbs:
                raise refused(
                    str(path),
                    code="experiment-named-like-verb",
                    rule="an experiment must not have the name of a verb",
                    got=repr(path.stem),
                    remedy="rename the file",
                )
            purposes[path.stem] = _purpose(path)
    return purposes


def roots(config_dir: Path | None) -> Iterator[Path]:
    """The config folders, ours first.

    Raises:
        UsageError: the user's folder does not exist, or holds a file that ours holds too: which of
            the two wins would be a guess.
    """
    yield CONF
    if config_dir is None:
        return
    if not config_dir.is_dir():
        raise refused(
            "--config-dir",
            code="config-dir-not-a-folder",
            rule="must be a folder",
            got=str(config_dir),
            remedy="create it or mend the path",
        )
    for path in sorted(config_dir.rglob("*.yaml")):
        inside = path.relative_to(config_dir)
        if (CONF / inside).exists():
            raise refused(
                str(path),
                code="own-config-named-like-shipped",
                rule="a config of your own needs a name of its own",
                got=f"{inside}, which is shipped",
                remedy="rename it and choose it by that name",
            )
    yield config_dir


def misplaced(group: str, option: str, *, config_dir: Path | None) -> UsageError | None:
    """The error where the user's folder has a file of an option's name, and its ending or its place
    keeps it from being one; None where there is no such file, or it is an option of another group.
    """
    if config_dir is None:
        return None
    for path in sorted(path for path in config_dir.rglob("*.y*ml") if path.stem == option):
        inside = path.relative_to(config_dir)
        is_of_group = inside.parent.name != "" and (CONF / inside.parent).is_dir()
        if not is_of_group or inside.suffix != ".yaml":
            return refused(
                str(path),
                code="option-file-misplaced",
                rule=f"an option of {group} is the file {group}/{option}.yaml of its folder",
                got=str(inside),
                remedy="rename it or move it there",
            )
    return None


def space_files(config_dir: Path | None) -> dict[str, Path]:
    """The files of `conf/space/` by name, ours and the user's."""
    return {path.stem: path for root in roots(config_dir) for path in root.glob("space/*.yaml")}


def reference_names() -> list[str]:
    """The data that have a published result: the files of conf/reference/."""
    return sorted(path.stem for path in (CONF / "reference").glob("*.yaml"))


def needed_words(experiment: str, *, config_dir: Path | None) -> list[str]:
    """`key=value` words of the command that an experiment's file begins with: values that only its
    user has, such as a path. Empty where it runs by its name alone.
    """
    start = f"# python -m search {experiment} "
    for root in roots(config_dir):
        path = root / "experiment" / f"{experiment}.yaml"
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            if line.startswith(start):
                return [word for word in shlex.split(line.removeprefix(start)) if "=" in word]
    return []


def _purpose(path: Path) -> str:
    comments = [
        line[1:].strip()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    ]
    skipped = ("python -m", "@package", "yaml-language-server")
    lines = [line for line in comments if line and not line.startswith(skipped)]
    return lines[0] if lines else ""


def search_as_word(word: str, *, words: Iterable[str] = ()) -> UsageError | None:
    """The error where a search's name stands in place of an experiment or a verb; else None.
    `words`: of the command, which may name another folder of searches.
    """
    named = [each.removeprefix(ROOT) for each in words if each.startswith(ROOT)]
    root = Path(os.path.expanduser(named[-1])) if named else Path(RESULTS)
    if word not in {path.parent.name for path in root.glob("*/config.yaml")}:
        return None
    word = shlex.quote(str(root / word)) if named else word
    return refused(
        repr(word),
        code="search-as-experiment",
        rule="must be an experiment or a verb",
        got="the name of a search",
        remedy=f"python -m search status {word} tells the command that resumes it",
    )


def unknown_word(word: str, experiments: Iterable[str], *, words: Iterable[str] = ()) -> UsageError:
    """The error for a first word that is neither an experiment nor a verb."""
    if (error := search_as_word(word, words=words)) is not None:
        return error
    known = [*experiments, *verbs()]
    text = unknown(
        "experiment or verb",
        name=word,
        known=known,
        nearest=OF_OTHER_TOOLS.get(word, ""),
        listing="python -m search list",
    )
    return UsageError(text, code="unknown-experiment-or-verb")
