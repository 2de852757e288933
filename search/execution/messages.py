"""How conductor and workers talk: length-prefixed JSON over a connected socket, NaN and inf as strings, never pickle.

The limit is checked before a message is read. Never interprets messages.
"""

import json
import math
import socket
import struct
from typing import Any, Protocol

Message = dict[str, Any]
HEADER = struct.Struct(">I")
LIMIT = 16 * 2**20  # bytes of one message


class MessageError(Exception):
    """The other side sent something that is no message."""


class Channel(Protocol):
    """What a worker needs of a connection."""

    def send(self, message: Message) -> None:
        """Sends one message."""

    def receive(self) -> Message:
        """Waits for the reply."""


class Link:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = bytearray()

    def send(self, message: Message) -> None:
        """Sends one message. Raises OSError when the other side has gone."""
        body = encode(message)
        self.socket.sendall(HEADER.pack(len(body)) + body)

    def receive(self) -> Message:
        """Waits for the next message.

        Raises:
            EOFError: the other side has gone.
            WireError: what came is no message.
        """
        while True:
            message = self._next()
            if message is not None:
                return message
            if not self._fill():
                raise EOFError("the other side has closed the connection")

    def poll(self) -> tuple[list[Message], bool]:
        """All that has come, without waiting, and whether the other side is still there. Raises WireError as `receive`."""
        try:
            while open_still := self._fill(socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            open_still = True
        except OSError:
            open_still = False
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages, open_still

    @property
    def closed(self) -> bool:
        """Whether this end has been closed."""
        return self.socket.fileno() < 0

    def close(self) -> None:
        """Closes the connection."""
        self.socket.close()

    def _fill(self, flags: int = 0) -> bool:
        data = self.socket.recv(2**16, flags)
        self._buffer += data
        return bool(data)

    def _next(self) -> Message | None:
        if len(self._buffer) < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(self._buffer)
        if length > LIMIT:
            raise MessageError(f"a message has at most {LIMIT} bytes, but got {length}")
        end = HEADER.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        return decode(body)


def encode(message: Message) -> bytes:
    """JSON; numbers that JSON lacks become the strings "nan", "inf", "-inf", which float() reads."""
    try:
        body = json.dumps(message, allow_nan=False)
    except ValueError:
        body = json.dumps(_finite(message), allow_nan=False)
    if len(body) > LIMIT:
        raise MessageError(f"a message has at most {LIMIT} bytes, but got {len(body)}")
    return body.encode()


def decode(body: bytes) -> Message:
    """The message in a body. Raises WireError where it is no JSON object."""
    try:
        message = json.loads(body)
    except ValueError as error:
        raise MessageError(f"a message is a JSON object, but got {body[:40]!r}") from error
    if not isinstance(message, dict):
        raise MessageError(f"a message is a JSON object, but got {type(message).__name__}")
    return message


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
