"""optuna-dashboard on a search's journal: read-only, on this machine only."""

from pathlib import Path

from search.commands import one_name
from search.errors import UsageError
from search.results.findings import open_results

SUMMARY = "shows a search in optuna-dashboard, read-only"
USAGE = "dashboard NAME [--port N]"


def run(words: list[str], config_dir: Path | None) -> int:
    """Serves until Ctrl-C."""
    port = 8080
    if "--port" in words:
        at = words.index("--port")
        text = words[at + 1] if at + 1 < len(words) else "nothing"
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise UsageError(
                f"dashboard: --port needs a number from 1 to 65535, but got {text}; usage: python -m search {USAGE}"
            )
        port, words = int(text), [*words[:at], *words[at + 2 :]]
    try:
        from optuna_dashboard import run_server
    except ImportError as error:
        raise UsageError(
            "dashboard: needs optuna-dashboard, but it is not installed; pip install 'knobwise[dashboard]'"
        ) from error
    folder, _ = open_results(one_name(words, USAGE), root=Path("results"))
    print(f"http://127.0.0.1:{port}/ shows {folder.path}, read-only; Ctrl-C ends it")
    try:
        run_server(folder.storage().read(), host="127.0.0.1", port=port)
    except OSError as error:
        raise UsageError(
            f"dashboard: port {port} must be free, but got: {error.strerror}; choose another with --port"
        ) from error
    except KeyboardInterrupt:
        return 130
    return 0
