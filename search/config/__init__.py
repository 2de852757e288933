"""From a YAML config to a frozen plan: what exists, what a key means, which knobs a search turns."""
