"""Messages over a socket: what goes in comes out, and nothing else is believed."""

import math
import pickle
import socket
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.execution.end_reasons import StopDecision, TrialEnd
from search.execution.lanes import Fusion
from search.execution.link import Link, decode, encode
from search.execution.messages import (
    LIMIT,
    Answer,
    AssignedTrial,
    EpochTrained,
    FoldNumbers,
    FusionDecided,
    Hello,
    Message,
    MessageError,
    Settled,
    TrialEnded,
    Work,
)

NUMBERS = st.floats(allow_nan=False)
VALUES = st.dictionaries(st.text(), NUMBERS, max_size=4)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text()
KNOBS = st.dictionaries(TEXT, st.none() | st.booleans() | INTEGERS | NUMBERS | TEXT, max_size=4)
FOLDS = st.builds(FoldNumbers, value=st.none() | NUMBERS, values=VALUES)
MESSAGES = st.one_of(
    st.builds(
        EpochTrained,
        trial=INTEGERS,
        epoch=INTEGERS,
        value=st.none() | NUMBERS,
        values=VALUES,
        seconds=NUMBERS,
        source=TEXT,
        folds=st.lists(FOLDS, max_size=2),
        layers=st.dictionaries(TEXT, VALUES, max_size=2),
        remark=TEXT,
    ),
    st.builds(
        TrialEnded,
        trial=INTEGERS,
        end=st.sampled_from(TrialEnd),
        reason=TEXT,
        cause=st.none() | TEXT,
    ),
    st.builds(
        Settled,
        answers=st.dictionaries(
            INTEGERS,
            st.builds(
                Answer,
                decision=st.sampled_from(StopDecision),
                reason=TEXT,
                epoch=INTEGERS,
                best_epoch=INTEGERS,
                next_decision=st.none() | INTEGERS,
            ),
            max_size=3,
        ),
        trials=st.lists(
            st.builds(
                AssignedTrial,
                trial=INTEGERS,
                seed=INTEGERS,
                knobs=KNOBS,
                next_decision=st.none() | INTEGERS,
            ),
            max_size=2,
        ),
    ),
    st.builds(
        FusionDecided,
        fusion=st.builds(
            Fusion,
            strategy=st.sampled_from(["vmap", "loop"]),
            seats=st.integers(1, 2**62),
            why=TEXT,
        ),
    ),
)


@pytest.fixture
def ends():
    links = [Link(end) for end in socket.socketpair()]
    yield links
    for link in links:
        link.close()


@given(MESSAGES)
def test_a_message_comes_back_bit_for_bit_and_as_what_it_was(message):
    again = decode(encode(message))
    assert type(again) is type(message)
    assert again == message


def test_numbers_that_are_not_finite_and_numpys_own_travel_as_numbers():
    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": np.float32(0.5)}
    again = decode(
        encode(EpochTrained(trial=0, epoch=1, value=None, values=values, seconds=0, source=""))
    )
    assert math.isnan(again.values["a"])
    assert [again.values[name] for name in "bcd"] == [math.inf, -math.inf, 0.5]


def test_messages_keep_their_order_and_their_borders(ends):
    ours, theirs = ends
    for number in range(50):
        ours.send(TrialEnded(trial=number, end=TrialEnd.FAILED, reason="x" * number))
    assert [theirs.receive().trial for _ in range(20)] == list(range(20))
    messages, is_open = theirs.poll()
    assert [message.trial for message in messages] == list(range(20, 50))
    assert is_open


def test_a_message_with_more_to_come_leaves_with_the_next_one_and_before_it(ends):
    ours, theirs = ends
    ours.send(Hello(pid=1), more=True)
    assert theirs.poll() == ([], True)
    ours.send(Hello(pid=2))
    assert theirs.poll() == ([Hello(pid=1), Hello(pid=2)], True)


def test_the_last_messages_of_a_worker_that_has_gone_are_read(ends):
    ours, theirs = ends
    ours.send(Hello(pid=7))
    ours.close()
    assert theirs.poll() == ([Hello(pid=7)], False)
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
        ours.send(TrialEnded(trial=0, end=TrialEnd.FAILED, reason="x" * LIMIT))


@pytest.mark.parametrize(
    "message",
    [
        Work(trials=[AssignedTrial(trial=0, seed=0, knobs={"a": 2**64})]),
        TrialEnded(trial=0, end=TrialEnd.FAILED, reason="\ud800"),
        EpochTrained(trial=0, epoch=1, value=None, values={"a": object()}, seconds=0, source=""),
    ],
)
def test_what_messagepack_cannot_carry_is_refused_where_it_is_sent(message):
    with pytest.raises(MessageError, match="a message cannot be sent"):
        encode(message)


@given(st.binary(max_size=200))
def test_bytes_at_random_are_a_message_or_refused(body):
    try:
        message = decode(body)
    except MessageError:
        return
    assert isinstance(message, Message)


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "Hello"},
        {"kind": "Hello", "pid": "7"},
        {"kind": "Hello", "pid": 7.5},
        {"kind": "Unknown", "pid": 7},
        {"pid": 7},
        [1, 2],
        3,
        {"kind": "TrialEnded", "trial": 0, "end": "exploded"},
        {"kind": "EpochTrained", "trial": 0, "epoch": 1, "value": "0.5", "values": {}, "seconds": 0.0, "source": ""},
    ],
)  # fmt: skip
def test_a_field_that_is_missing_or_of_another_type_is_refused(content):
    with pytest.raises(MessageError, match="no message: "):
        decode(msgspec.msgpack.encode(content))


def test_a_pickle_is_no_message():
    with pytest.raises(MessageError, match="no message: "):
        decode(pickle.dumps({"kind": "Hello", "pid": 7}))
