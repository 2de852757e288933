"""The version, as `pyproject.toml` has it; a clone that is not installed has no other place."""

__version__ = "0.1.0"
