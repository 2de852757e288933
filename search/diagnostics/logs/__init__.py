"""Anyone's training logs, as curves."""
