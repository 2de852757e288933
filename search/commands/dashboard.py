"""optuna-dashboard on a search's trials: read-only, on this machine only."""

from pathlib import Path
from wsgiref.simple_server import make_server

from search.commands.support.arguments import VerbParser, whole_number
from search.commands.support.read_only import read_only
from search.config.quick_imports import quick_imports
from search.errors import refused

SUMMARY = "shows a search in optuna-dashboard, read-only"


def parser() -> VerbParser:
    """`NAME [--port N]`."""
    examples = [
        ("python -m search dashboard lr_sweep", "serves http://127.0.0.1:8080/ until Ctrl-C"),
        ("python -m search dashboard lr_sweep --port 9000", "on another port"),
    ]
    parser = VerbParser("dashboard", summary=SUMMARY, examples=examples)
    parser.add_name()
    parser.add_root()
    parser.add_argument(
        "--port",
        metavar="N",
        type=whole_number(1, 65535),
        default=8080,
        help="port of this machine (default: 8080)",
    )
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Serves until Ctrl-C."""
    options = parser().parse(words)
    try:
        with quick_imports():
            from optuna_dashboard import wsgi

            from search.results.folders import open_folder
    except ImportError as error:
        raise refused(
            "dashboard",
            code="dashboard-not-installed",
            rule="needs the package optuna-dashboard",
            got="none",
            remedy="pip install 'knobwise[dashboard]'",
        ) from error
    folder = open_folder(options.name, root=options.results_root)
    port = options.port
    print(f"http://127.0.0.1:{port}/ shows {folder.path}, read-only; Ctrl-C ends it", flush=True)
    try:
        application = read_only(wsgi(folder.storage().read()), port=port)
        with make_server("127.0.0.1", port, application) as server:
            server.serve_forever()
    except OSError as error:
        raise refused(
            "dashboard",
            code="port-is-taken",
            rule=f"port {port} must be free",
            got=error.strerror,
            remedy="choose another with --port",
        ) from error
    except KeyboardInterrupt:
        return 130
    return 0
