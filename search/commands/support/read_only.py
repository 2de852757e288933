"""A web application that only shows: writes are refused, and so are requests from other sites."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]
READING = ("GET", "HEAD", "OPTIONS")


def read_only(application: Application, *, port: int) -> Application:
    """The application behind a door.

    A request needs this machine's name in its `Host`: a page elsewhere could otherwise read along
    by a name of its own that leads to 127.0.0.1 (DNS rebinding). `port`: where it is served.
    """
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    def served(environment: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        host, method = environment.get("HTTP_HOST", ""), environment["REQUEST_METHOD"]
        if host not in hosts:
            return _refused(start, f"this page is served to http://127.0.0.1:{port}/ only\n")
        if method not in READING:
            return _refused(
                start, "this dashboard is read-only: the search is the only writer of its trials\n"
            )
        return application(environment, start)

    return served


def _refused(start: Callable[..., Any], reason: str) -> list[bytes]:
    status = HTTPStatus.FORBIDDEN
    start(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
    return [reason.encode()]
