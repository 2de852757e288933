"""The port at which workers of other machines connect: only a token opens it, and only once."""

import queue
import shutil
import socket
import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import certificate

from search.execution.encryption import Certificates, encrypted
from search.execution.link import HEADER, Link, encode
from search.execution.listener import SIZE, Listener, connect
from search.execution.messages import Hello, Message, MessageError, Quit
from search.execution.placement.cluster_checks import check_scheduler, own_host


@pytest.fixture(params=["127.0.0.1"])
def listener(request):
    listener = Listener(own_host(request.param), deadline=0.5)
    yield listener
    listener.close()


def _has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


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


@pytest.mark.parametrize(
    "listener",
    [
        "127.0.0.1",
        pytest.param("::1", marks=pytest.mark.skipif(not _has_ipv6(), reason="needs IPv6")),
    ],
    indirect=True,
)
def test_messages_travel_both_ways_and_none_waits_for_another_to_fill_its_packet(listener):
    token, links = _joined(listener)
    worker = Link(connect(listener.address, token=token))
    conductor = links.get(timeout=5)
    for link in (worker, conductor):  # else a message takes 40 ms
        assert link.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    for _ in range(50):
        worker.send(Hello(pid=7))
        assert conductor.receive() == Hello(pid=7)
        conductor.send(Quit())
        assert worker.receive() == Quit()
    assert not listener.forget(token)
    worker.close()
    conductor.close()


def test_another_program_in_place_of_a_scheduler_is_noticed_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        for said in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"SSH"):
            thread = threading.Thread(target=_say, args=(server, said))
            thread.start()
            with pytest.raises(ValueError, match="no Dask scheduler answers there"):
                check_scheduler(f"tcp://127.0.0.1:{server.getsockname()[1]}")
            thread.join()


def _say(server: socket.socket, said: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(said)


def test_a_token_opens_one_connection_and_a_forgotten_one_none(listener):
    token, links = _joined(listener)
    with connect(listener.address, token=token):
        links.get(timeout=5).close()
    forgotten, _ = _joined(listener)
    assert listener.forget(forgotten)
    for useless in (token, forgotten):
        with pytest.raises(ConnectionError):
            connect(listener.address, token=useless)


MESSAGE = (st.binary(max_size=50) | st.just(encode(Hello(pid=7)))).map(
    lambda body: HEADER.pack(len(body)) + body
)
PIECES = st.lists(st.binary(max_size=100) | MESSAGE | st.just(b"x" * 70_000), max_size=4)


@given(pieces=PIECES, speaks_first=st.booleans(), knows_token=st.booleans())
@settings(max_examples=60)
def test_no_bytes_of_a_stranger_and_none_of_a_worker_do_more_than_end_their_connection(
    pieces, speaks_first, knows_token
):
    listener = Listener("127.0.0.1")
    try:
        token, links = _joined(listener)
        if knows_token:
            stranger = connect(listener.address, token=token)
        else:
            stranger = socket.create_connection(listener.address)
        with stranger, suppress(OSError):
            if not (speaks_first or knows_token):
                stranger.recv(SIZE, socket.MSG_WAITALL)
            for piece in pieces:
                stranger.sendall(piece)
        if knows_token:
            conductor = links.get(timeout=5)
            is_open = True
            with suppress(MessageError):
                while is_open:
                    messages, is_open = conductor.poll()
                    assert all(isinstance(each, Message) for each in messages)
            conductor.close()
            token, links = _joined(listener)
        assert links.empty()
        with connect(listener.address, token=token):
            links.get(timeout=5).close()
    finally:
        listener.close()


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


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def _certificates(folder) -> Certificates:
    folder.mkdir()
    file, key = map(str, certificate(folder, "127.0.0.1"))
    return Certificates(authority=file, certificate=file, key=key)


def _tap(source: socket.socket, target: socket.socket, overheard: list[bytes]) -> None:
    with suppress(OSError):  # an end was closed with something unread
        while data := source.recv(2**16):
            overheard.append(data)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@needs_openssl
def test_what_travels_between_two_certificates_is_read_by_nobody_else(tmp_path):
    own = _certificates(tmp_path / "own")
    (near, near_tap), (far_tap, far) = socket.socketpair(), socket.socketpair()
    overheard: list[bytes] = []
    taps = [
        threading.Thread(target=_tap, args=(*ends, overheard))
        for ends in ((near_tap, far_tap), (far_tap, near_tap))
    ]
    for tap in taps:
        tap.start()
    links: list[Link] = []

    def answer() -> None:
        links.append(Link(encrypted(near, certificates=own, as_server=True)))

    thread = threading.Thread(target=answer)
    thread.start()
    worker = Link(encrypted(far, certificates=own, as_server=False))
    thread.join(5)
    (conductor,) = links
    assert conductor.poll() == ([], True)
    said = [Hello(pid=7, host="plain text" * 10**size) for size in range(5)]
    for message in said:
        worker.send(message)
    heard: list[Hello] = []
    while len(heard) < len(said):
        messages, is_open = conductor.poll()
        assert is_open
        heard += messages
    assert heard == said
    conductor.send(said[0])
    assert worker.receive() == said[0]
    worker.close()
    with pytest.raises((EOFError, OSError)):
        conductor.receive()
    conductor.close()
    for tap in taps:
        tap.join(5)
    for each in (near_tap, far_tap):
        each.close()
    wire = b"".join(overheard)
    assert len(wire) > len("plain text") * 10**4
    assert b"plain text" not in wire


@needs_openssl
def test_where_the_engine_has_certificates_a_token_alone_opens_nothing(tmp_path):
    own, foreign = (_certificates(tmp_path / name) for name in ("own", "foreign"))
    listener = Listener("127.0.0.1", certificates=own)
    for trick in ("plain", "foreign", "silent", "own"):
        token, links = _joined(listener)
        connection = connect(listener.address, token=token)
        if trick == "plain":
            Link(connection).send(Hello(pid=7))
            with suppress(ConnectionResetError):
                while connection.recv(2**16):  # an alert
                    pass
        elif trick == "foreign":
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                encrypted(connection, certificates=foreign, as_server=False)
        elif trick == "silent":
            assert listener.forget(token)
        else:
            worker = Link(encrypted(connection, certificates=own, as_server=False))
            links.get(timeout=5).close()
            worker.close()
        assert links.empty()
        connection.close()
    listener.close()
