"""Where workers on other machines connect: a TCP port that opens only to a token.

Every worker gets a token of its own, which opens one connection. The token itself is never sent:
both sides prove by HMAC that they have it, within a deadline, before any message is read. Where
the cluster's engine has certificates, the connection is encrypted from then on.
"""

import hashlib
import hmac
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from search.execution.encryption import Certificates, encrypted
from search.execution.link import Link

DEADLINE = 10.0  # time that a newcomer has to prove its token [s]
NEWCOMERS = 64  # connections at once that have not proved a token yet; more are closed
PATIENCE = 60.0  # default of `placement.patience` [s]
PROBES = 3  # of a silent connection, before its other side counts as gone
SIZE = 32  # of a token, a challenge and a proof [bytes]

Address = tuple[str, int]


class Listener:
    """The conductor's port.

    Attributes:
        address: host and port.
        deadline: time that a newcomer has to prove its token [s].
        patience: silence of a worker's machine after which its connection has ended [s].
        certificates: of the cluster's engine; None: connections are not encrypted.
    """

    def __init__(
        self,
        host: str,
        *,
        deadline: float = DEADLINE,
        patience: float = PATIENCE,
        certificates: Certificates | None = None,
    ) -> None:
        self._deadline, self._patience = deadline, patience
        self._certificates = certificates
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=NEWCOMERS)
        self.address: Address = self._socket.getsockname()[:2]
        self._expected: dict[bytes, Callable[[Link], None]] = {}
        self._proved: dict[bytes, Callable[[Link], None]] = {}  # not encrypted yet
        self._lock = threading.Lock()
        self._newcomers = threading.BoundedSemaphore(NEWCOMERS)
        self._closed = False
        threading.Thread(target=self._accept, name="listener", daemon=True).start()

    def expect(self, joined: Callable[[Link], None]) -> bytes:
        """A token for a new worker. `joined` is called once, when it has connected."""
        token = secrets.token_bytes(SIZE)
        with self._lock:
            self._expected[token] = joined
        return token

    def forget(self, token: bytes) -> bool:
        """The token opens nothing from now on; True if it never has."""
        with self._lock:
            joined = self._expected.pop(token, None) or self._proved.pop(token, None)
            return joined is not None

    def close(self) -> None:
        """Takes no more connections; those that are there stay."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends `accept` in the other thread
        self._socket.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed, or no more file descriptors: the next round may succeed
                time.sleep(0.1)
                continue
            if self._newcomers.acquire(blocking=False):
                threading.Thread(target=self._admit, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def _admit(self, connection: socket.socket) -> None:
        """Asks a newcomer for its proof, and for a certificate where the engine has some."""
        try:
            try:
                token = self._redeem(connection)
            finally:
                self._newcomers.release()
            if self._certificates is not None:  # no deadline: its process may start slowly
                connection = encrypted(connection, certificates=self._certificates, as_server=True)
            with self._lock:  # so that `forget` comes before or after the whole of it
                joined = self._proved.pop(token, None)
                if joined is None:
                    raise ConnectionError("the token was forgotten meanwhile")
                joined(Link(connection))
        except OSError:
            connection.close()

    def _redeem(self, connection: socket.socket) -> bytes:
        """The token that a newcomer has, which is used up then. Raises OSError: it has none."""
        challenge = secrets.token_bytes(SIZE)
        connection.settimeout(self._deadline)
        connection.sendall(challenge)
        proof = _read(connection, deadline=self._deadline)
        with self._lock:
            for token in self._expected:
                if hmac.compare_digest(proof, _prove(token, b"worker", challenge)):
                    break
            else:
                raise ConnectionError("a proof of no token")
            connection.sendall(_prove(token, b"conductor", challenge))
            _prepare(connection, patience=self._patience)
            self._proved[token] = self._expected.pop(token)
        return token


def connect(address: Address, *, token: bytes, patience: float = PATIENCE) -> socket.socket:
    """A worker's connection to its conductor.

    Args:
        token: opens the connection.
        patience: silence of the conductor's machine after which the connection has ended [s].

    Raises:
        OSError: nobody listens there, or it is not the conductor.
    """
    connection = socket.create_connection(address, timeout=DEADLINE)
    try:
        challenge = _read(connection, deadline=DEADLINE)
        connection.sendall(_prove(token, b"worker", challenge))
        answer = _read(connection, deadline=DEADLINE)
        if not hmac.compare_digest(answer, _prove(token, b"conductor", challenge)):
            raise ConnectionError(f"{address[0]}:{address[1]} is not the conductor")
    except BaseException:
        connection.close()
        raise
    _prepare(connection, patience=patience)
    return connection


def _prove(token: bytes, side: bytes, challenge: bytes) -> bytes:
    return hmac.digest(token, side + challenge, hashlib.sha256)


def _read(connection: socket.socket, *, deadline: float) -> bytes:
    """A challenge or a proof. Raises OSError: it is not complete within `deadline` seconds."""
    until, data = time.monotonic() + deadline, b""
    while len(data) < SIZE:
        connection.settimeout(max(0.001, until - time.monotonic()))
        part = connection.recv(SIZE - len(data))
        if not part:
            raise ConnectionError("the other side has closed the connection")
        data += part
    return data


def _prepare(connection: socket.socket, *, patience: float) -> None:
    """Sends small messages at once, and has the system ask, while nothing is said, whether the
    other machine is still there.
    """
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    seconds = max(1, round(patience / (PROBES + 1)))
    for name, value in (
        ("TCP_KEEPIDLE", seconds),
        ("TCP_KEEPINTVL", seconds),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", round(patience * 1000)),  # of what is sent [ms]
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
