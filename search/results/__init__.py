"""What a search found, read from disk: tables, summaries, figures, the page, exports."""
