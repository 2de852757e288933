"""Judges of a training: the preflight before a search, verdicts on learning curves after it."""
