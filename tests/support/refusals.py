"""The error that a test causes: its code and the data in its message, never its words."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from search.errors import SearchError


@contextmanager
def raises(code: str, *data: str) -> Iterator[pytest.ExceptionInfo[SearchError]]:
    """The block raises an error with this code, whose message holds the data, such as a value, a path or the
    nearest name.
    """
    with pytest.raises(SearchError) as caught:
        yield caught
    text = str(caught.value)
    assert caught.value.code == code, text
    assert [each for each in data if each not in text] == [], text


def check_told(error: str, code: str, *data: str) -> None:
    """What a command has written to standard error ends with this code, and holds the data."""
    assert error.endswith(f" [{code}]\n"), error
    assert [each for each in data if each not in error] == [], error
