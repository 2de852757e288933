"""What is fixed before tuning starts: metric, data, split and normalisation (R1-R8)."""
