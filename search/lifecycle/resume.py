"""Whether a search may go on in its folder, with the config and the code of its first start."""

from collections.abc import Sequence

from search.config.counted import count, first_of
from search.config.drift import drift
from search.config.plan import Plan
from search.config.tune_settings import TuneSettings
from search.config.user_code import user_code
from search.errors import UsageError
from search.execution.terminal import Terminal
from search.results.findings import Findings, open_results
from search.stages.kinds import kind_of
from search.storage.code_record import Code, CodeRecord
from search.storage.folder import Folder
from search.storage.study import begin_anew
from search.storage.trials import TrialRecord

SHOWN = 5  # names of files or keys in a message


def settle(plan: Plan, folder: Folder, *, console: Terminal) -> None:
    """Checks a folder that was started, and makes it ready to go on or to begin anew.

    Where no trial has completed and config or code have changed, the search begins anew. Where code
    has changed after trials have ended, `accept_code=true` goes on: unfinished trials begin anew.

    Raises:
        UsageError: another config, or other code that was not accepted. Nothing is touched.
    """
    record, code = CodeRecord(folder.path), user_code(plan.config)
    lines, files = drift(folder.load_config(), plan.config), record.changed(code)
    if (not lines and not files) or folder.alive():
        folder.check_config(plan.config)
        if record.spoiled() and not folder.alive():
            with folder.locked():
                _begin_anew(plan, folder, record.spoiled())
                record.spoil(())  # once: what they train from now on stays
        return
    findings = _findings(folder)
    rows = list(findings.rows) if findings is not None else []
    if not any(row.state in ("complete", "pruned") for row in rows):
        what = "the config" if lines else "your code"
        keys = [line.partition(":")[0] for line in lines]
        why = f"no trial has completed and {what} has changed ({_shown(keys or files)})"
        console.say(f"{why}: the search begins anew")
        with folder.locked():
            folder.clear()
        return
    folder.check_config(plan.config)
    ended = findings is not None and findings.is_done and not _has_grown(plan, folder, rows)
    if ended:
        console.say(f"your code has changed since these trials were trained: {_shown(files)}")
        return
    _go_on_with_other_code(plan, folder, rows, code=code, files=files, console=console)


def _go_on_with_other_code(
    plan: Plan,
    folder: Folder,
    rows: list[TrialRecord],
    *,
    code: Code,
    files: list[str],
    console: Terminal,
) -> None:
    ended = [row.spec.trial for row in rows if row.finished]
    waiting = [row.spec.trial for row in rows if not row.finished]
    if not plan.config.get("accept_code"):
        raise UsageError(
            f"{folder.path}: a search is trained with one version of your code, "
            f"but {_shown(files)} changed after {count(len(ended), 'trial')} had ended; "
            "accept_code=true goes on with the new code: unfinished trials begin anew, "
            "and the others are named as older; or use name=…",
            code="code-has-changed",
        )
    with folder.locked():
        record = CodeRecord(folder.path)
        record.change(code, ended=ended)
        _begin_anew(plan, folder, waiting)
    older = ", ".join(map(str, record.older()))
    what = "unfinished trials begin anew; trained with older code: trials"
    console.say(f"your code has changed ({_shown(files)}): {what} {older}")


def _begin_anew(plan: Plan, folder: Folder, trials: Sequence[int]) -> None:
    begin_anew(folder.storage(), search=plan.name, trials=trials)
    for trial in trials:
        folder.forget(trial)


def _findings(folder: Folder) -> Findings | None:
    if not folder.has_trials():
        return None
    return open_results(str(folder.path), root=folder.path.parent, retrains=True)[1]


def _has_grown(plan: Plan, folder: Folder, rows: Sequence[TrialRecord]) -> bool:
    """Whether a search that had ended is to train more: it has been extended."""
    if isinstance(plan.settings, TuneSettings):  # its stages to come are not foreseen
        return bool(drift(folder.load_config(), plan.config, grown=True))
    return len(rows) < kind_of(plan).foreseen(plan, rows)


def _shown(names: list[str]) -> str:
    return first_of(names, SHOWN)
