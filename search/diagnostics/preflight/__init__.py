"""Before the budget is spent: is the set-up sound? Data, batches, model, learning and speed, each
by small checks (R3, R7-R13).

`run` makes all of them, `report` tells them; `check` says what a check is, the other modules judge.
"""
