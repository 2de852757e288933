"""What lies on disk while a search runs: trials, journal, curves, logs, the lock."""
