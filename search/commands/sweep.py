"""Several sweeps in a row, each from the winner of the one before (R28)."""

import re
from pathlib import Path

from search.commands.run import run as run_experiment
from search.commands.support.arguments import VerbParser, results_root, take
from search.config.catalogue import experiments
from search.errors import UsageError, unknown

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
    chosen = [knob for knob in re.split(r"[\s,\[\]]+", knobs or "") if knob]
    if not chosen:
        raise UsageError("sweep: needs knobs, but got none; say knobs=[lr,dropout]")
    sweeps = [path for path in experiments(config_dir) if path.endswith("_sweep")]
    available = {experiment.removesuffix("_sweep") for experiment in sweeps}
    for knob in chosen:
        if knob not in available:
            raise UsageError(f"sweep: {unknown('knob', name=knob, known=available)}")
    if len(set(chosen)) < len(chosen):
        raise UsageError(
            f"sweep: a knob is swept once, but got {', '.join(chosen)}; drop the second one"
        )
    conclusions = []
    for knob in chosen:
        search = f"{name or 'sweep'}-{knob}"
        print(f"\n{search}")
        # From the second sweep on, the incumbent brings the config along.
        overrides = [word for word in words if source is None or not _is_carried(word)]
        start = [f"from={source}"] if source else []
        run_experiment([f"{knob}_sweep", f"name={search}", *overrides, *start], config_dir)
        from search.results.findings import open_results
        from search.results.summary import conclusion

        _, findings = open_results(search, root=results_root(words))
        conclusions.append(f"{search}: {conclusion(findings)[0]}")
        source = search
    print("\n" + "\n".join(conclusions))
    return 0


def _is_carried(word: str) -> bool:
    """True for an override of what the incumbent brings along."""
    from search.config.config_file import GROUPS

    head = word.lstrip("+~").partition("=")[0].partition(".")[0]
    return head in GROUPS and head != "placement"
