"""Trials on workers: who trains what, what is recorded, who is stopped, and when workers die."""
