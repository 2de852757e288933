"""Makes the pictures of the README from a real search: its figure and its terminal.

    python tests/benchmarks/pictures.py [--to tests/pictures]

`sweep.svg` is the figure as the search writes it, `terminal.svg` what the command prints.
"""

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.terminal_theme import MONOKAI
from rich.text import Text

from search.execution.terminal import Terminal
from search.results.diagnosis import diagnosed
from search.results.findings import Findings, open_results
from search.results.summary import conclusion, show_summary
from search.results.tables import curves_so_far

ROOT = Path(__file__).parents[2]
COMMAND = ["-m", "search", "lr_sweep"]
WIDTH = 100  # columns
FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # asks a network for a font


def terminal(findings: Findings) -> str:
    """What the command prints, as SVG."""
    console = Terminal(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ python {' '.join(COMMAND)}", style="bold"))
    show_summary(findings, console)
    for line in conclusion(findings):
        console.say(line)
    text = console.export_svg(title=f"python {' '.join(COMMAND)}", theme=MONOKAI)
    return FONT.sub("", text).replace("Fira Code", "ui-monospace, Menlo, Consolas")


def main() -> None:
    """Runs the search in an empty folder and writes the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=ROOT / "tests" / "pictures")
    target = parser.parse_args().to.resolve()
    target.mkdir(parents=True, exist_ok=True)
    # Within the folder, as a user would be: the commands that the table names are as short as theirs.
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, *COMMAND], cwd=place, env=environment, check=True)
        folder, findings = open_results("lr_sweep", root=Path("results"))
        findings = diagnosed(findings, curves_so_far(findings, folder), folder=folder)
        shutil.copy(folder.path / "sweep.svg", target / "sweep.svg")
        (target / "terminal.svg").write_text(terminal(findings))
    print(f"{target}: sweep.svg, terminal.svg")


if __name__ == "__main__":
    main()
