"""In which order the stages of a search come, and what follows a verdict."""
