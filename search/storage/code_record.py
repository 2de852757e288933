"""With which code the trials of a search were trained: code.json, a version per change.

The last version is that of the trials to come; the earlier ones name the trials that had ended.
Files that changed while a version's trials trained are named with it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.contract.fingerprint import file_digest
from search.storage.sealed import damaged, parse_json, write_json

Code = Mapping[str, str]  # SHA-256 of files, by their path from the working folder
# Files that a version by earlier rules does not name are not new: it followed no links out of the
# working folder, or did not find the __main__.py of a package.
FOUND = "links and __main__"


class CodeRecord:
    """The versions of the user's code in a search's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "code.json"

    def changed(self, code: Code) -> list[str]:
        """The files that differ from the last version; none where no version was written down."""
        versions = self._versions()
        if not versions:
            return []
        last, is_of_today = versions[-1]["files"], versions[-1].get("found") == FOUND
        return sorted(
            path
            for path in {*last, *code}
            if last.get(path) != code.get(path) and (path in last or is_of_today)
        )

    def current(self) -> Code:
        """The files of the last version; none where no version was written down."""
        versions = self._versions()
        return versions[-1]["files"] if versions else {}

    def differing(self, other: "CodeRecord") -> list[str]:
        """The files that both folders name and that differ between their last versions."""
        mine, others = self.current(), other.current()
        return sorted(path for path in mine if others.get(path, mine[path]) != mine[path])

    def begin(self, code: Code) -> None:
        """Writes the first version down; nothing where there is one."""
        if not self._versions():
            self._write([_version(code)])

    def change(self, code: Code, *, ended: Sequence[int]) -> None:
        """Begins another version. `ended`: all trials that have ended so far."""
        versions, older = self._versions(), set(self.older())
        versions[-1]["trials"] = sorted(set(ended) - older)
        self._write([*versions, _version(code)])

    def older(self) -> list[int]:
        """The trials that were trained with an earlier version."""
        return sorted(trial for version in self._versions() for trial in version.get("trials", ()))

    def note_edits(self) -> None:
        """Names the files that have changed since the last version began, while trials trained."""
        versions = self._versions()
        edited = {path for path, digest in self.current().items() if _digest(Path(path)) != digest}
        if edited - set(self.edited()):
            versions[-1]["edited"] = sorted(edited)
            self._write(versions)

    def edited(self) -> list[str]:
        """The files that changed while trials trained, in any version."""
        return sorted({path for version in self._versions() for path in version.get("edited", ())})

    def spoil(self, trials: Sequence[int]) -> None:
        """Notes unfinished trials that may have read other data than the contract's."""
        if versions := self._versions():
            versions[-1]["spoiled"] = sorted(trials)
            self._write(versions)

    def spoiled(self) -> list[int]:
        """The trials of the last `spoil`."""
        return [trial for version in self._versions()[-1:] for trial in version.get("spoiled", ())]

    def _write(self, versions: list[dict[str, Any]]) -> None:
        write_json(self._path, {"versions": versions})

    def _versions(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        try:
            versions = parse_json(self._path.read_bytes())["versions"]
            return [{**version, "files": dict(version["files"])} for version in versions]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise damaged(self._path, got=f"no record of code ({error})") from error


def _version(code: Code) -> dict[str, Any]:
    """What is written of a version; `found`: by which rules its files were found."""
    return {"files": dict(code), "found": FOUND}


def _digest(path: Path) -> str:
    """The SHA-256 of a file's content; empty where it cannot be read."""
    try:
        return file_digest(path)
    except OSError:
        return ""
