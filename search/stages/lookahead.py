"""How far ahead the conductor looks in a stage's trials."""

PEEK = 256  # trials that are looked at, to see how many share a key
