"""One module per verb, named by the verb, loaded only when it is chosen.

A verb has `SUMMARY`, `parser() → VerbParser` for its words and its help page, and
`run(words, config_dir) → exit code`. What verbs share is in `support/`.
"""
