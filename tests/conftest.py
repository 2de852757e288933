"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Workers started from within a test import the toys as a user's own module.
os.environ["PYTHONPATH"] = str(HERE)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own: nothing may depend on the clone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
