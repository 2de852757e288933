"""Checksums for the files that a search is resumed from: a damaged one is named, never believed.

A JSON object carries its checksum as its last key, a YAML file as a comment on its first line;
other readers ignore both. What has no checksum (of version 0.1.0) is taken as it is.
"""

import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from search.config.text import for_csv, one_line
from search.errors import UsageError, disk_error, refused
from search.storage.files import write_text

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]
LINE_SEAL = re.compile(rb',"_crc":(\d+)\}$')
TEXT_SEAL = re.compile(r"\A# crc (\d+): .*\n")
KEY = "_crc"
ODD = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
ENCODER, NULL = json.JSONEncoder(separators=(",", ":")), b"null"
ROW_SEAL, BLANK = re.compile(rb"crc:[0-9a-f]{8}$", re.MULTILINE), b"crc:00000000"
CHANGED = "a file that has changed since (its checksum does not match)"
NOTE = "written by the search; a change by hand needs this line removed"


class DamagedLine(ValueError):
    """A line that is no JSON object, or whose checksum does not match."""


def seal_line(record: Mapping[str, Any]) -> bytes:
    """The record as one line of JSON with its checksum, line break included."""
    try:
        body = msgspec.json.encode(record)
    except ODD:  # such as numpy's numbers
        body = NULL
    if NULL in body:  # of None; or of NaN or infinity, which only Python's encoder writes
        body = ENCODER.encode(record).encode()
    body = body[:-1]
    return body + b',"_crc":%d}\n' % zlib.crc32(body)


def read_line(line: bytes) -> Record:
    """The record of a line, without its checksum.

    Raises:
        DamagedLine: the line is damaged.
    """
    seal = LINE_SEAL.search(line)
    if seal is not None and int(seal[1]) != zlib.crc32(line[: seal.start()]):
        raise DamagedLine("its checksum does not match")
    try:
        record = msgspec.json.decode(line)
    except ODD:  # such as NaN, which only Python's decoder reads
        record = _loaded(line)
    if not isinstance(record, dict):
        raise DamagedLine("it is no JSON object")
    record.pop(KEY, None)
    return record


def _loaded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DamagedLine("it is no JSON") from error


def json_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """A line per record, each with its checksum."""
    return b"".join(map(seal_line, records)).decode()


def whole_lines(data: bytes) -> bytes:
    """The data without a last line that a kill has left incomplete."""
    return data[: data.rfind(b"\n") + 1]


def seal_text(text: str) -> str:
    """The text of a YAML file with its checksum as a first comment."""
    return f"# crc {zlib.crc32(text.encode())}: {NOTE}\n{text}"


def read_text(path: Path) -> str:
    """The text of a YAML file.

    Raises:
        UsageError: the file cannot be read, or its checksum does not match.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except PermissionError as error:
        raise disk_error(error, path=path) from error
    except (OSError, UnicodeDecodeError) as error:
        got = getattr(error, "strerror", None) or "bytes that are no text"
        raise damaged(path, got=got) from error
    seal = TEXT_SEAL.match(text)
    sealed = seal is not None or NOTE in text
    if sealed and (seal is None or int(seal[1]) != _sum(text[seal.end() :])):
        raise damaged(path, got=CHANGED)
    return text


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object with its checksum, for `read_json`."""
    sealed = {**content, KEY: _sum(json.dumps(content))}
    write_text(path, json.dumps(sealed, indent=1) + "\n")


def parse_json(data: bytes) -> dict[str, Any]:
    """The object of a JSON file, without its checksum.

    Raises:
        ValueError: it is damaged.
    """
    try:
        content = json.loads(data)
    except ValueError as error:  # a wrong encoding too
        raise ValueError("no JSON") from error
    if not isinstance(content, dict):
        raise ValueError(f"a JSON {type(content).__name__}")  # noqa: TRY004  # of a file, not a call
    if content.pop(KEY, None) not in (None, _sum(json.dumps(content))):
        raise ValueError(CHANGED)
    return content


def read_json(path: Path, *, keys: Collection[str] = ()) -> dict[str, Any]:
    """A JSON object that the search has written; `keys` must be there.

    Raises:
        UsageError: the file cannot be read as such.
    """
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise damaged(path, got=getattr(error, "strerror", None) or str(error)) from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise damaged(path, got=f"none of its keys {', '.join(missing)}")
    return content


def read_json_lines(path: Path, *, keys: Collection[str] = ()) -> list[Record]:
    """The records of a file with one JSON object per line; none where there is no file.

    Raises:
        UsageError: a line is damaged, or lacks one of the keys.
    """

    def fault(record: Record) -> str:
        missing = ", ".join(key for key in keys if key not in record)
        return f"none of its keys {missing}" if missing else ""

    return read_lines(path.read_bytes(), path, fault=fault) if path.exists() else []


def read_lines(
    data: bytes, path: Path, *, fault: Callable[[Record], str], first: int = 1
) -> list[Record]:
    """The records of lines that were sealed.

    Args:
        fault: what is wrong with a record, in words; empty where nothing is.
        first: the number of the first line.

    Raises:
        UsageError: a line is damaged, or has a fault.
    """
    records = []
    for number, line in enumerate(data.splitlines(), start=first):
        try:
            record = read_line(line)
            if text := fault(record):
                raise DamagedLine(text)
        except DamagedLine as error:
            raise damaged(path, line=number, got=f"{line[:60]!r}: {error}") from error
        records.append(record)
    return records


def csv_safe(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table without texts that a spreadsheet would take for formulas."""
    return frame.map(lambda cell: for_csv(cell) if isinstance(cell, str) else cell)


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """Writes a table with the checksum of all of it as its last column, for `read_csv`."""
    data = csv_safe(frame).assign(**{KEY: BLANK.decode()}).to_csv(index=False).encode()
    write_text(path, ROW_SEAL.sub(b"crc:%08x" % zlib.crc32(data), data).decode())


def read_csv(path: Path) -> "pd.DataFrame":
    """A table that the search has written, without its checksum.

    Raises:
        UsageError: the file cannot be read as such.
    """
    import pandas as pd

    try:
        data = path.read_bytes()
        frame: pd.DataFrame = pd.read_csv(path)
        sums = set(ROW_SEAL.findall(data))
        whole = b"crc:%08x" % zlib.crc32(ROW_SEAL.sub(BLANK, data))
        is_same = sums == {whole} if len(frame) and (sums or KEY.encode() in data) else not sums
    except (OSError, ValueError) as error:  # pandas' own among them
        raise damaged(path, got=f"text that is no such table ({one_line(str(error))})") from error
    if not is_same:
        raise damaged(path, got=CHANGED)
    return frame.drop(columns=KEY, errors="ignore")


def damaged(path: Path | str, *, got: str, line: int | None = None) -> UsageError:
    """The error for a file of a search that cannot be believed."""
    where = str(path) if line is None else f"{path}:{line}"
    return refused(
        where,
        code="file-was-changed",
        rule="a search's file is as the search wrote it",
        got=got,
        remedy="restore it from a copy, or use name=… for a new search",
    )


def _sum(text: str) -> int:
    return zlib.crc32(text.encode())
