"""Trials on workers: who trains what, what is recorded, who is stopped, what happens when a worker dies."""
