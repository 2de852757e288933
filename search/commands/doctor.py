"""What learning curves mean and what to turn next: of a search, a trial or a CSV file."""

import math
from argparse import ArgumentTypeError
from pathlib import Path

from search.commands.support.arguments import VerbParser, whole_number
from search.commands.support.documents import print_document
from search.config.quick_imports import quick_imports
from search.errors import refused

SUMMARY = "reads learning curves: what they say, on which evidence, and what to turn next"


def parser() -> VerbParser:
    """`NAME [TRIAL] | --csv FILE [--classes C] [--constant L] [--columns ROLE=NAME …]`."""
    examples = [
        ("python -m search doctor lr_sweep", "every verdict of a search, and which trials have it"),
        ("python -m search doctor --csv log.csv --classes 10", "any training log, of ten classes"),
    ]
    parser = VerbParser("doctor", summary=SUMMARY, examples=examples)
    parser.add_name(nargs="?")
    parser.add_argument("trial", metavar="TRIAL", nargs="?", help="one of its trials, in full")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="a log with losses of train and validation: CSV, JSON, JSON lines, a notebook, "
        "TensorBoard or text, also as .gz; 'runs/*/metrics.csv' in quotes for several; for one "
        "file, the word --csv may be left out",
    )
    parser.add_argument(
        "--columns",
        metavar="ROLE=NAME",
        nargs="+",
        type=_column,
        help="which column is which, if the names do not tell: train=a+b val=c epoch=d metric=e "
        "trial=f; a+b is their sum",
    )
    parser.add_argument(
        "--classes", metavar="C", type=whole_number(2), help="classes, where labels are classes"
    )
    parser.add_argument(
        "--constant",
        metavar="L",
        type=_loss,
        help="loss of a constant prediction: of a regression, the variance of its target",
    )
    parser.add_root()
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """A verdict, or a table of them."""
    options = parser().parse(words)
    if options.csv is None and options.trial is None and Path(options.name or "").is_file():
        options.csv, options.name = options.name, None  # no search is a file
    scaled = options.classes or options.constant or options.columns
    if (options.csv is None) == (options.name is None) or (scaled and not options.csv):
        got = " ".join(words) or "none"
        raise refused(
            "doctor",
            code="doctor-needs-one-source",
            rule="needs a search, or --csv FILE with --classes C, --constant L or neither",
            got=got,
            remedy="see python -m search help doctor",
        )
    with quick_imports():
        from search.commands.support.read_curves import of_logs, of_search
        from search.commands.support.reading import document_of, say
    reading = of_search(options) if options.csv is None else of_logs(options)
    if options.json:
        print_document("doctor", document_of(reading))
    else:
        say(reading)
    return 0


def _column(word: str) -> tuple[str, str]:
    role, equals, name = word.partition("=")
    if not (role and equals and name):
        raise ArgumentTypeError(f"needs ROLE=NAME, as in train=loss, but got {word}")
    return role, name


def _loss(text: str) -> float:
    try:
        loss = float(text)
    except ValueError:
        loss = math.nan
    if not 0 < loss < math.inf:
        raise ArgumentTypeError(f"needs a number above 0, but got {text}")
    return loss
