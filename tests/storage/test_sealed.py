"""Lines of JSON with a checksum: what goes in comes out, and any reader of JSON reads them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.storage.sealed import KEY, DamagedLine, read_line, seal_line
from search.storage.trials import TrialState

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)
RECORDS = st.dictionaries(st.text(min_size=1).filter(lambda name: name != KEY), VALUES, max_size=5)


@pytest.mark.slow
@given(RECORDS)
def test_a_record_comes_back_as_it_was_and_stock_readers_read_it_so(record):
    line = seal_line(record)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert len(line.splitlines()) == 1
    if record:
        assert read_line(line.rstrip(b"\n")) == record
        assert json.loads(line) == {**record, KEY: json.loads(line)[KEY]}


def test_what_strict_json_does_not_know_comes_back_too():
    record = {"loss": math.nan, "worst": -math.inf, "note": "null", "none": None, "big": 2**80}
    back = read_line(seal_line(record)[:-1])
    assert math.isnan(back.pop("loss"))
    assert back == {name: value for name, value in record.items() if name != "loss"}
    alone = "\udc80"  # of a file name that is no text
    state = TrialState.COMPLETE
    odd = {"numpy": np.float64(0.1), "state": state, "alone": alone}
    assert read_line(seal_line(odd)[:-1]) == {"numpy": 0.1, "state": "complete", "alone": alone}


@pytest.mark.parametrize("record", [{"value": 0.1}, {"value": math.nan}])
def test_one_changed_digit_is_seen(record):
    line = bytearray(seal_line({**record, "epoch": 7})[:-1])
    line[line.index(b"7")] = ord("8")
    with pytest.raises(DamagedLine, match="its checksum does not match"):
        read_line(bytes(line))


@pytest.mark.parametrize("line", [b"{broken", b"", b"[1", b"\xff", b'{"a":NaM}'])
def test_what_is_no_json_is_told(line):
    with pytest.raises(DamagedLine, match="it is no JSON"):
        read_line(line)
