"""Messages over a socket: what goes in comes out, and nothing else is believed."""

import json
import math
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.execution.messages import LIMIT, Link, MessageError, decode, encode

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture
def ends():
    links = [Link(end) for end in socket.socketpair()]
    yield links
    for link in links:
        link.close()


@given(st.dictionaries(st.text(), PLAIN))
def test_what_json_knows_comes_back_bit_for_bit(message):
    assert decode(encode(message)) == message


def test_numbers_that_json_lacks_travel_as_strings_that_float_reads():
    body = encode({"values": {"a": math.nan, "b": math.inf, "c": [-math.inf, 1.5]}})
    json.loads(body, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    values = decode(body)["values"]
    assert math.isnan(float(values["a"]))
    assert float(values["b"]) == math.inf
    assert [float(value) for value in values["c"]] == [-math.inf, 1.5]


def test_messages_keep_their_order_and_their_borders(ends):
    ours, theirs = ends
    for number in range(50):
        ours.send({"number": number, "text": "x" * number})
    assert [theirs.receive()["number"] for _ in range(20)] == list(range(20))
    messages, there = theirs.poll()
    assert [message["number"] for message in messages] == list(range(20, 50))
    assert there


def test_the_last_words_of_one_who_left_are_heard(ends):
    ours, theirs = ends
    ours.send({"last": "words"})
    ours.close()
    assert theirs.poll() == ([{"last": "words"}], False)
    with pytest.raises(EOFError, match="the other side has closed the connection"):
        theirs.receive()


def test_a_message_over_the_limit_is_refused_before_it_is_read(ends):
    ours, theirs = ends
    ours.socket.sendall(struct.pack(">I", LIMIT + 1))
    with pytest.raises(
        MessageError, match=f"a message has at most {LIMIT} bytes, but got {LIMIT + 1}"
    ):
        theirs.receive()
    with pytest.raises(MessageError, match="a message has at most"):
        ours.send({"text": "x" * LIMIT})


@pytest.mark.parametrize("body", [b"\xff\xfe", b"not json", b"[1, 2]", b"3"])
def test_what_is_no_json_object_is_no_message(body):
    with pytest.raises(MessageError, match="a message is a JSON object, but got"):
        decode(body)
