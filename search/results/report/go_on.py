"""The commands that go on from a search with a winner."""

from shlex import quote

from omegaconf import OmegaConf

from search.config.catalogue import CONF
from search.config.compose_protocol import spaces_by_path
from search.config.plan import Plan
from search.config.results_root import address, from_here
from search.results.findings import Findings
from search.results.summary import view_of
from search.results.summary.advise import next_lines


def follow_up(plan: Plan) -> str:
    """The joint search that goes on from a sweep's winner, over those of its usual knobs that the
    winner has; empty where it has less than two, or where a trainer is the user's own.
    """
    recipe = view_of(plan).follow_up
    if not recipe or not plan.stock:
        return ""
    usual = list(OmegaConf.load(CONF / "space" / f"{recipe}.yaml").defaults)
    there = {
        name
        for path, name in spaces_by_path(plan.config).items()
        if OmegaConf.select(plan.config, path) is not None
    }
    names = [name for name in usual if name in there]
    space = "" if names == usual else f" 'space=[{','.join(names)}]'"
    source = address(plan.folder)
    command = f"python -m search {recipe} from={source} name={plan.name}-{recipe}{space}"
    return command if len(names) > 1 else ""


def next_commands(findings: Findings) -> list[tuple[str, str]]:
    """Commands that go on from a search with a winner, each with its purpose. Test rows stay sealed
    where nothing was learned: once looked at, they are spent.
    """
    plan, steps = findings.plan, findings.steps
    is_ready = plan.config.trainer.predict and (not steps or steps[-1]["learned"])
    name, best = address(plan.folder), quote(str(from_here(plan.folder) / "best.yaml"))
    seal = (f"python -m search test {name}", "opens the sealed test set, once")
    return [
        (f"python -m search train {best}", "trains the winner again, and compares"),
        *([seal] if is_ready else []),
        (
            f"python -m search doctor {name}",
            "what the curves say, trial by trial, and what to turn",
        ),
    ]


def all_commands(findings: Findings) -> list[tuple[str, str]]:
    """Those, and what to turn next: as the curves say, in words alone where no command does it,
    and many knobs at once.
    """
    why, *command = next_lines(findings) or [""]
    words = why.removeprefix("next: ").removeprefix("next, ")
    turn = [(line.strip(), words) for line in command or [""] if words]
    joint = [(follow_up(findings.plan), "turns many knobs at once, from this winner")]
    return [*next_commands(findings), *turn, *(each for each in joint if each[0])]
