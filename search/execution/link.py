"""A connection between conductor and worker over a socket: each message as bytes, with its length
before it.

The length is checked against the limit before the message is read.
"""

import socket
import struct
from typing import Any

import msgspec

from search.execution.messages import LIMIT, FromConductor, FromWorker, Message, MessageError

HEADER = struct.Struct(">I")


class Link:
    """Either end of a connection over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer, self._unsent = bytearray(), bytearray()

    def send(self, message: Message, *, more: bool = False) -> None:
        """Sends one message; with `more`, together with the next one, which follows soon.

        Raises OSError when the other side has gone.
        """
        body = encode(message)
        self._unsent += HEADER.pack(len(body)) + body
        if not more:
            data, self._unsent = self._unsent, bytearray()
            self.socket.sendall(data)

    def receive(self) -> Message:
        """Waits for the next message.

        Raises:
            EOFError: the other side has gone.
            MessageError: what came is no message.
        """
        while True:
            message = self._next()
            if message is not None:
                return message
            if not self._fill():
                raise EOFError("the other side has closed the connection")

    def poll(self) -> tuple[list[Message], bool]:
        """All messages that have come, without waiting; True while the other side is there.

        Raises:
            MessageError: what came is no message.
        """
        try:
            while is_open := self._fill(socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            is_open = True
        except OSError:
            is_open = False
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages, is_open

    def descriptor(self) -> int:
        """What a selector waits for."""
        return self.socket.fileno()

    @property
    def closed(self) -> bool:
        """True if this end has been closed."""
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


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a message cannot hold a {type(value).__name__}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder = msgspec.msgpack.Decoder(FromWorker | FromConductor)


def encode(message: Message) -> bytes:
    """The message as bytes. Raises MessageError: it is too large, or cannot be carried."""
    try:
        body = _encoder.encode(message)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise MessageError(f"a message cannot be sent: {error}") from error
    if len(body) > LIMIT:
        raise MessageError(f"a message has at most {LIMIT} bytes, but got {len(body)}")
    return body


def decode(body: bytes | memoryview) -> Message:
    """The message in a body. Raises MessageError: it is none, or a field has another type."""
    try:
        message: Message = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"no message: {error}") from error
    return message
