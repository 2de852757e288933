"""Which trials a stage wants, and which value wins: pure functions of the plan and its trials."""
