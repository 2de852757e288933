"""The port at which workers of other machines connect: only a token opens it, and only once."""

import queue
import socket
import threading
import time

import pytest

from search.execution.link import Link
from search.execution.listener import SIZE, Listener, connect
from search.execution.messages import Hello, MessageError, Quit


@pytest.fixture
def listener():
    listener = Listener("127.0.0.1", deadline=0.5)
    yield listener
    listener.close()


def _joined(listener: Listener) -> tuple[bytes, "queue.SimpleQueue[Link]"]:
    links: queue.SimpleQueue[Link] = queue.SimpleQueue()
    return listener.expect(links.put), links


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side closes the connection after its challenge, and sends nothing else."""
    connection.settimeout(5)
    assert len(connection.recv(SIZE, socket.MSG_WAITALL)) == SIZE
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_messages_travel_both_ways_within_5_ms(listener):
    token, links = _joined(listener)
    worker = Link(connect(listener.address, token=token))
    conductor = links.get(timeout=5)
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        worker.send(Hello(pid=7))
        assert conductor.receive() == Hello(pid=7)
        conductor.send(Quit())
        assert worker.receive() == Quit()
        times.append(time.perf_counter() - begun)
    assert sorted(times)[25] < 0.005
    assert not listener.forget(token)
    worker.close()
    conductor.close()


def test_a_token_opens_one_connection_and_a_forgotten_one_none(listener):
    token, links = _joined(listener)
    with connect(listener.address, token=token):
        links.get(timeout=5).close()
    forgotten, _ = _joined(listener)
    assert listener.forget(forgotten)
    for useless in (token, forgotten):
        with pytest.raises(ConnectionError):
            connect(listener.address, token=useless)


@pytest.mark.parametrize("said", [b"", b"x", b"x" * SIZE, b"GET / HTTP/1.1\r\n\r\n" * 9999])
def test_garbage_and_silence_end_at_the_deadline_and_others_still_come_in(said, listener):
    token, links = _joined(listener)
    with socket.create_connection(listener.address) as stranger:
        stranger.sendall(said)
        assert _is_closed(stranger)
    assert links.empty()
    with connect(listener.address, token=token):
        links.get(timeout=5).close()


def test_a_stranger_in_the_conductors_place_is_noticed():
    with socket.create_server(("127.0.0.1", 0)) as stranger:

        def pretend() -> None:
            connection, _ = stranger.accept()
            with connection:
                connection.sendall(bytes(SIZE))
                connection.recv(SIZE)
                connection.sendall(bytes(SIZE))

        thread = threading.Thread(target=pretend)
        thread.start()
        with pytest.raises(ConnectionError, match="is not the conductor"):
            connect(stranger.getsockname()[:2], token=b"t" * SIZE)
        thread.join()


def test_an_oversized_message_is_refused_before_it_is_read(listener):
    token, links = _joined(listener)
    with connect(listener.address, token=token) as worker:
        conductor = links.get(timeout=5)
        worker.sendall((2**31).to_bytes(4, "big") + b"x" * 1000)
        with pytest.raises(MessageError, match="at most 16777216 bytes, but got 2147483648"):
            conductor.receive()
        conductor.close()
