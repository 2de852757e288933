"""Makes foreign text harmless, one function per medium that shows it.

Foreign text is any name, choice, column, error message or log. It may hold control characters that
move a terminal's cursor, bidirectional marks, markup, or a spreadsheet's formula. The reader sees
the text itself, with each such character written out.
"""

import html
import re
from typing import Any

FORMULA = ("=", "+", "-", "@")  # a spreadsheet computes a cell that begins so
# Blanks by `str.isspace` that begin a new line or move the cursor.
BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
MARKUP = re.compile(r"([\\`*\[\]<>|])")  # characters that Markdown would act on


def one_line(text: object) -> str:
    r"""The text on one line: every control character as its escape, such as `\n` or `\x1b`."""
    line = str(text)
    return line if line.isprintable() else "".join(map(_visible, line))


def for_terminal(text: object) -> str:
    """The text for a terminal or a log; only its line breaks keep their effect."""
    return "\n".join(one_line(line) for line in str(text).split("\n"))


def is_terminal(stream: Any) -> bool:
    """Whether an output is a terminal. None (as after `2>&-`), a closed file, or a user's object
    that has no more than `write`, is none.
    """
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def for_markdown(text: object) -> str:
    """The text inside a paragraph or a table's cell of a Markdown file."""
    return MARKUP.sub(r"\\\1", one_line(text))


def for_xml(text: object) -> str:
    """The text as content or attribute of an SVG or HTML element."""
    return html.escape(one_line(text))


def for_csv(text: object) -> str:
    """The text as a cell of a csv file; an apostrophe keeps a spreadsheet from computing it."""
    cell = one_line(text)
    return f"'{cell}" if cell.startswith(FORMULA) and not _is_number(cell) else cell


def _visible(character: str) -> str:
    if character.isprintable() or (character.isspace() and character not in BREAKS):
        return character
    return character.encode("unicode_escape").decode()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
