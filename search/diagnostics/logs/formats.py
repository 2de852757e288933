"""The lines of a log: CSV, JSON, JSON lines, TensorBoard events or text, also as .gz."""

import codecs
import gzip
import json
import re
from pathlib import Path

from search.diagnostics.logs.csv_lines import csv_lines, is_table
from search.diagnostics.logs.json_lines import json_lines
from search.diagnostics.logs.line import Table
from search.diagnostics.logs.losses import FEW
from search.diagnostics.logs.named_epochs import refuse_unread
from search.diagnostics.logs.named_runs import runs_of
from search.diagnostics.logs.parts import parts_of
from search.diagnostics.logs.printed_lines import tells_loss_of_train
from search.diagnostics.logs.printed_records import printed_records
from search.diagnostics.logs.tables_in_text import tables_in
from search.diagnostics.logs.tensorboard_events import event_lines, is_events
from search.diagnostics.logs.text_lines import is_text_log, text_lines
from search.diagnostics.logs.thinned import thinned
from search.errors import UsageError, refused

OTHERS = ": the other lines"  # beside tables
NUL = "\0"  # in no text
GZIP = b"\x1f\x8b"
# An object, or a list of objects: a dict that Python printed, {'lr': 0.1}, is a line of text.
JSON = re.compile(r"\s*(\{\s*[\"}]|\[\s*[{\]])")

MEASURED = re.compile(r"^\d+ ([-+\w.]+) (\d+)\b", re.M)  # a time, a value, a step
ENGLISH = {  # words of other languages
    "训练": " train ", "验证": " val ", "测试": " test ", "损失": " loss ", "准确率": " accuracy ",
    "完成": " done ", "最佳": " best ", "最优": " best ", "保存": " saving ", "加载": " loading ",
    "数据": " data ",
    "эпоха": " epoch ", "итерация": " step ", "шаг": " step ", "época": " epoch ",
    "époque": " epoch ", "エポック": " epoch ", "에폭": " epoch ",
}  # fmt: skip
FOREIGN = re.compile("|".join(ENGLISH), re.I)
# A number that Python printed with what it is, as `tensor(0.5, device='cuda:0')`.
PRINTED = re.compile(r"\"?\b(?:tf\.T|t)ensor\(\[?([-+.\w]+)\]?(?:, *\w+=(?:\(\)|[^)\n])*)?\)\"?")
CONTROL = re.compile(r"\x1b\[[\d;]*[a-z]|[\x08]", re.I)  # of a terminal: colours, steps back


def tables_of(path: Path, left_out: dict[str, UsageError]) -> dict[str, Table]:
    """The log's table by its place; of a notebook, one of each cell that printed losses. What of
    several cannot be read is `left_out`, with the reason.

    Raises:
        UsageError: no such file, no text, another format, no row, or a column's name twice.
    """
    if is_events(path):
        return {str(path): (*event_lines(path), {})}
    if path.is_dir() and (series := _metric_files(path)):
        return {str(path): (*json_lines(path, json.dumps(series)), {})}
    content, share = _content(path)
    text = _text(path, content)
    texts = _printed(path, text) if path.suffix == ".ipynb" else {}
    texts = texts or {str(path): text}
    made = dict[str, Table]()
    for at, whole in texts.items():
        try:
            parts = _parts(Path(at), whole)
        except UsageError as error:
            if len(texts) == 1:
                raise
            left_out[at] = error
            continue
        for by, own in parts.items():
            if isinstance(own, UsageError):
                left_out[at + by] = own
            else:
                header, lines, told = own
                made[at + by] = header, lines, told | ({"": share} if share else {})
    return made


def _parts(path: Path, text: str) -> dict[str, Table | UsageError]:
    """The tables of the trainings in a text, by their lines or names, or why one cannot be read.

    Raises:
        UsageError: there is only one, and it cannot be read; or runs that cannot be told apart.
    """
    of_text = not JSON.match(text) and not is_table(text)
    tables, rest = tables_in(text) if of_text and _tells_by_line(text) else ({}, text)
    made = dict[str, Table | UsageError]()
    for at, table in tables.items():
        made[at] = _or_why(path, table)
    goes_on = is_text_log(rest, least=FEW, tells=tells_loss_of_train) or printed_records(rest)
    if tables and not goes_on:
        return made
    parts = {
        (at + by) or (OTHERS if tables else ""): own
        for at, whole in parts_of(rest).items()
        for by, own in runs_of(path, whole).items()
    }
    if len(parts) == 1 and not made:
        return {at: _lines(path, own) for at, own in parts.items()}
    return made | {at: _or_why(path, own) for at, own in parts.items()}


def _tells_by_line(text: str) -> bool:
    return is_text_log(text) or bool(printed_records(text))


def _or_why(path: Path, text: str) -> Table | UsageError:
    try:
        return _lines(path, text)
    except UsageError as error:
        return error


def _lines(path: Path, text: str) -> Table:
    if JSON.match(text):
        return *json_lines(path, text), {}
    if records := printed_records(text):
        return *json_lines(path, records), {}
    if is_text_log(text) and not is_table(text):
        table = text_lines(text)
        refuse_unread(path, text, table[1])
        return table
    return csv_lines(path, text)


def _printed(path: Path, text: str) -> dict[str, str]:
    """What the cells of a notebook printed that tell losses, by their places; empty if the file is
    no notebook. Cells that tell losses a few times only are none of training, beside others.

    Raises:
        UsageError: no cell printed losses.
    """
    try:
        cells = json.loads(text)["cells"]
        outputs = [[out.get("text", ()) for out in cell.get("outputs", ())] for cell in cells]
        printed = [_plain("".join("".join(part) for part in own)) for own in outputs]
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    told = {
        f"{path}/cell {number}": own
        for number, own in enumerate(printed, start=1)
        if is_text_log(own) or printed_records(own)
    }
    if not told:
        rule, remedy = "a cell must print losses", "save what a program printed as a text file"
        raise refused(
            str(path), code="notebook-tells-no-losses", rule=rule, got="none", remedy=remedy
        )
    often = {place: own for place, own in told.items() if len(_lines(path, own)[1]) >= FEW}
    told = often or told
    return told if len(told) > 1 else {str(path): own for own in told.values()}


def _metric_files(path: Path) -> dict[str, dict[str, list[float]]]:
    """Steps and values by name, of MLflow's files per metric: lines of a time, a value, a step."""
    folder = path / "metrics" if (path / "metrics").is_dir() else path
    series: dict[str, dict[str, list[float]]] = {}
    for file in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        text = file.read_text(errors="replace") if file.is_file() else ""
        if told := MEASURED.findall(text) if MEASURED.match(text) else []:
            steps, values = [int(step) for _, step in told], [float(value) for value, _ in told]
            series[str(file.relative_to(folder))] = {"steps": list(steps), "values": values}
    return series


def _content(path: Path) -> tuple[bytes, str]:
    """What the file holds, thinned where that is very much, and how much of it that is."""
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP)) == GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            return thinned(file)
    except (OSError, EOFError) as error:
        rule = "must be a CSV file, JSON, JSON lines, TensorBoard events or text, as .gz or not"
        remedy = "give the file's path"
        raise refused(
            str(path), code="log-not-readable", rule=rule, got=str(error), remedy=remedy
        ) from error


def _text(path: Path, content: bytes) -> str:
    # UTF-16 where it says so, as PowerShell writes it; other encodings differ in letters alone.
    of_windows = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if of_windows else "utf-8-sig", errors="replace")
    if NUL in text:
        rule, remedy = "must be text in UTF-8 or UTF-16", "save it so"
        got = "bytes that are no text"
        raise refused(str(path), code="log-not-utf8", rule=rule, got=got, remedy=remedy)
    return _plain(text)


def _plain(text: str) -> str:
    """Without what a terminal does with it, and with English words."""
    if not text.isascii():
        text = FOREIGN.sub(lambda word: ENGLISH[word[0].lower()], text)
    text = PRINTED.sub(r"\1", text) if "ensor(" in text else text
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
