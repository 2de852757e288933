"""What trains. Knows nothing of searches: a trainer gets a config and data, and yields once per epoch."""
