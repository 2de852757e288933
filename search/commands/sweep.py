"""Several sweeps in a row, each from the winner of the one before (R28)."""

import re
from pathlib import Path

from search.commands.run import run as run_experiment
from search.commands.support.arguments import VerbParser, results_root, take
from search.config.catalogue import experiments
from search.config.config_file import GROUPS
from search.errors import UsageError, unknown
from search.results.findings import open_results
from search.results.summary import conclusion

SUMMARY = "runs several sweeps in a row, each from the winner before"


def parser() -> VerbParser:
    """`knobs=[…] [name=NAME] [key=value …]`."""
    examples = [
        ("python -m search sweep 'knobs=[lr,batch_size,dropout]'", "sweep-lr, sweep-batch_size, …"),
        ("python -m search sweep 'knobs=[lr,width]' name=mine from=joint", "after another search"),
    ]
    details = (
        "A knob is named as in its experiment KNOB_sweep. The same command again goes on where "
        "it stopped."
    )
    parser = VerbParser("sweep", summary=SUMMARY, details=details, examples=examples)
    parser.add_overrides()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """One search per knob, named NAME-KNOB; the same command again goes on where it stopped."""
    knobs, words = take(parser().parse(words).overrides, "knobs")
    name, words = take(words, "name")
    source, words = take(words, "from")
    listed = [knob for knob in re.split(r"[\s,\[\]]+", knobs or "") if knob]
    if not listed:
        raise UsageError("sweep: needs knobs, but got none; say knobs=[lr,dropout]")
    known = {
        path.removesuffix("_sweep") for path in experiments(config_dir) if path.endswith("_sweep")
    }
    for knob in listed:
        if knob not in known:
            raise UsageError(f"sweep: {unknown('knob', name=knob, known=known)}")
    if len(set(listed)) < len(listed):
        raise UsageError(
            f"sweep: a knob is swept once, but got {', '.join(listed)}; drop the second one"
        )
    told = []
    for knob in listed:
        search = f"{name or 'sweep'}-{knob}"
        print(f"\n{search}")
        given = words if source is None else [word for word in words if not _carried(word)]
        run_experiment(
            [f"{knob}_sweep", f"name={search}", *given, *([f"from={source}"] if source else [])],
            config_dir,
        )
        told.append(f"{search}: {conclusion(open_results(search, root=results_root(words))[1])[0]}")
        source = search
    print("\n" + "\n".join(told))
    return 0


def _carried(word: str) -> bool:
    """Whether an override speaks of what the incumbent brings along."""
    head = word.lstrip("+~").partition("=")[0].partition(".")[0]
    return head in GROUPS and head != "placement"
