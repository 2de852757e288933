"""A search's events, from its begin to its end, to the callbacks that its config names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from search.config.trial_config import plain_config
from search.errors import Interrupted, Told
from search.execution.event_stream import EventStream
from search.execution.events import DecisionMade, EventCallback, SearchBegun, SearchEnded
from search.lifecycle.run_stage import Run
from search.results.diagnosis import trial_judge
from search.results.findings import Findings
from search.results.summary import conclusion, view_of
from search.storage.trials import EpochRecord, TrialRecord

Makers = Mapping[str, Callable[[], EventCallback]]


@contextmanager
def tracked(run: Run, *, callbacks: Makers, finished: int) -> Iterator[Run]:
    """The run, whose events the callbacks receive while the block runs.

    Args:
        callbacks: makers by name, see `configured_callbacks`.
        finished: trials of earlier runs.
    """
    if not callbacks:
        yield run
        return
    plan, judge = run.plan, trial_judge(run.plan, run.folder)

    def verdict(row: TrialRecord, records: Sequence[EpochRecord]) -> tuple[str, str]:
        judged = judge(row, records)
        return ("", "") if judged is None else (judged.name, judged.why)

    stream = EventStream(
        callbacks, judge=verdict, warn=lambda text: run.console.say(text, style="yellow")
    )
    config = plain_config(plan.config, resolve=False)
    config.pop("callbacks", None)  # which may name addresses that nobody else should see
    stream.post(
        SearchBegun(
            search=plan.name,
            folder=str(run.folder.path.absolute()),
            metric=plan.metric.name,
            direction=plan.metric.direction,
            knobs=[knob.path for knob in plan.knobs],
            finished=finished,
            config=config,
        )
    )
    try:
        yield replace(run, events=stream)
    finally:
        stream.close()


def post_outcome(run: Run, findings: Findings, *, error: Told | None = None) -> None:
    """The decision, if there is one, and the end of the search; `error`: what ended it early."""
    if (stream := run.events) is None:
        return
    if error is None and findings.decision is not None:
        words = conclusion(findings)
        for record in view_of(findings.plan).teller.records(findings):
            stream.post(DecisionMade(record=record, words=words))
    early = "interrupted" if isinstance(error, Interrupted) else "failed"
    winner = findings.winner
    stream.post(
        SearchEnded(
            state="done" if error is None else early,
            reason="" if error is None else str(error),
            winner=None if winner is None else winner.spec.trial,
            value=None if winner is None else winner.value,
            knobs={} if winner is None else dict(winner.spec.knobs),
        )
    )
