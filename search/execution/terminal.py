"""Standard output as commands use it: plain lines; on a terminal also colour, bold and dim.

`NO_COLOR` takes colour alone, `FORCE_COLOR` gives all three to a pipe too; no cursor moves there.
Imports little: it shows the first line of a command.
"""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.text import Text

from search.config.program_name import MODULE, SCRIPT, as_started
from search.config.text import for_terminal, is_terminal, one_line

COMMANDS = (f"{MODULE} ", f"{SCRIPT} ")


class Terminal(Console):
    """Standard output; a reader that has gone, as in `… | head`, silences it and ends nothing.

    `options`: of rich, such as another `file`.
    """

    def __init__(self, **options: Any) -> None:
        # A notebook gets plain lines: rich would draw widgets, or move a cursor that is not there.
        is_notebook = Console().is_jupyter
        plain: dict[str, Any] = {"force_jupyter": False}
        if is_notebook or not is_terminal(sys.stdout):
            plain["force_terminal"] = False
            if os.environ.get("FORCE_COLOR") and not is_notebook:
                plain["color_system"] = "standard"
        super().__init__(**plain | options)

    def on_broken_pipe(self) -> None:
        """Called by rich when a write has failed."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def say(self, text: str, *, style: str = "") -> None:
        """A line as it is, without markup; control characters of foreign text are written out.

        On a terminal it is broken between words, but neither within a word, such as a long path,
        nor within a command, since these are copied; elsewhere it stays one line.
        """
        line = for_terminal(as_started(text))
        if self.is_terminal or self.record or self.quiet or self.color_system:
            for part in line.split("\n"):
                if self.is_terminal and not part.lstrip().startswith(COMMANDS):
                    width = self.width or 80  # COLUMNS may be 0
                    lines = wrap(part, width, break_long_words=False, break_on_hyphens=False)
                    part = "\n".join(lines)
                self.print(part, style=style, markup=False, highlight=False, soft_wrap=True)
            return
        try:  # without rich, which takes a tenth of a millisecond for a line
            print(line, file=self.file, flush=True)
        except BrokenPipeError:
            self.on_broken_pipe()


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of an aligned table. `below`: further lines, for what has no room beside the cells."""

    cells: Sequence[str]
    below: str = ""
    style: str = ""


def aligned(header: Sequence[str], lines: Sequence[Line], *, left: Collection[str]) -> Group:
    """A table of lines, each cut at the edge of the terminal rather than broken.

    `left`: columns of words, which begin at the left; numbers end at the right.
    """
    rows = [[one_line(cell) for cell in line.cells] for line in lines]
    columns = zip(header, *rows, strict=True)
    widths = [max(map(cell_len, column)) for column in columns]

    def row(cells: Sequence[str]) -> str:
        padded = [
            set_cell_size(cell, width) if name in left else " " * (width - cell_len(cell)) + cell
            for name, cell, width in zip(header, cells, widths, strict=True)
        ]
        return "  ".join(padded).rstrip()

    text = Text(row(header), no_wrap=True, overflow="ellipsis")
    text.stylize("bold")
    for line, cells in zip(lines, rows, strict=True):
        text.append(f"\n{row(cells)}", style=line.style)
        if line.below:
            indent = " " * (widths[0] + 2)
            for part in line.below.split("\n"):
                text.append(f"\n{indent}{one_line(part)}", style=line.style or "dim")
    return Group(text)  # a bare Text would lose its rule not to wrap, printed by itself
