"""Trainers. They know nothing of searches: config and data come in, a yield per epoch goes out."""
