"""What is fixed before tuning and never changes while tuning: metric, data, split, normalisation (R1-R8)."""
