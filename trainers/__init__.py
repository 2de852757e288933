"""Trainers. They know nothing of searches: config and data come in, a yield per epoch goes out."""

from trainers.reporting import TrialStopped, report

__all__ = ["TrialStopped", "report"]
