"""What to do after a search, as a command: the first remedy of its winner's verdict not tried yet.

The table is that of protocols; the memory holds the knobs that the search and those before turned.
"""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf

from search.config.results_root import address
from search.diagnostics.verdicts.advice import ADVICE, CHECK, applies, is_longer
from search.errors import UsageError
from search.results.findings import Findings, open_results
from search.results.summary.verdicts import config_of, out_of_patience, turned

PATIENT = "raise trainer.patience, which ended the training, and not its number of epochs (R33)"


def next_lines(findings: Findings, *, spaces: Mapping[str, str]) -> list[str]:
    """What to do next, in words and as a command; empty without a winner that has a verdict.

    `spaces`: by path, the name of a file of `conf/space/` that turns it.
    """
    winner = findings.winner
    verdict = findings.verdicts.get(winner.spec.trial) if winner is not None else None
    if winner is None or verdict is None:
        return []
    ended = out_of_patience(findings.plan, winner)
    tried, config = tried_paths(findings), config_of(findings, winner)
    missing, by_hand = object(), list[str]()
    for name in (verdict.name, *(side.name for side in verdict.sides)):
        for remedy in ADVICE.get(name, ()):
            if ended and is_longer(remedy):
                by_hand.append(PATIENT)
            if remedy.turn == CHECK:
                by_hand.append(f"{remedy.says} ({remedy.rule})")
            there = OmegaConf.select(config, remedy.knob, default=missing) is not missing
            is_open = remedy.knob in spaces and remedy.knob not in tried and there
            if remedy.turn != CHECK and is_open and applies(remedy, config, out_of_patience=ended):
                where, knob = address(findings.plan.folder), spaces[remedy.knob]
                return [
                    f"next: {name}: {remedy.says} (R34, {remedy.rule})",
                    f"  python -m search lr_sweep space={knob} from={where} "
                    f"name={findings.plan.name}-{knob}",
                ]
    done = f"; tried already: {', '.join(sorted(tried))}" if tried else ""
    if by_hand:
        return [f"next, by hand: {by_hand[0]}{done}"]
    return [f"next: {verdict.name} calls for nothing that was not tried{done}"]


def tried_paths(findings: Findings) -> set[str]:
    """The knobs that a search turned, and those that it comes `from`, as far as these exist."""
    tried = set(turned(findings))
    source, seen = findings.plan.config.get("from"), set[str]()
    while source is not None and source not in seen:
        seen.add(str(source))
        try:
            _, earlier = open_results(str(source), root=Path(findings.plan.folder).parent)
        except UsageError:  # it has been removed
            break
        tried |= set(turned(earlier))
        source = earlier.plan.config.get("from")
    return tried
