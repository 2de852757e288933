"""What a search found, read from disk: tables, summaries, figures, exports. Needs neither torch nor a GPU."""
