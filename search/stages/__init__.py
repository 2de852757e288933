"""Stages: pure functions of the plan and all trials with their states."""
