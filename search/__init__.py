"""Knobwise: a hyperparameter search orchestrator for PyTorch.

Importing it loads nothing heavy; `python -m search` is the door.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
