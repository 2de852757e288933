"""From YAML configs to a frozen plan: what exists, what a key means, which knobs are turned."""
