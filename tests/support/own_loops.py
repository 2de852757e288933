"""Set-ups of a user's own loop that loads rows of its own and reports a score: their words, with one wrong line or a sound habit."""

from planted import SetUp


def loop_words(target, *, rows, fault):
    """The words of a command that trains by a function; `fault`: a wrong line or a habit, or empty."""
    return [
        "data=own", "data.task=classification", f"data.rows={rows}", "normalise=none",
        "metric=reported", "metric.name=score", "metric.direction=maximize", "model=own",
        "optimizer.lr=0.003", f"trainer._target_={target}", "trainer.predict=null",
        f'+trainer.fault="{fault}"',
    ]  # fmt: skip


def set_ups(words, *, wrong, habits):
    """The faulty ones, then the sound ones.

    Args:
        words: of a loop and a fault or habit.
        wrong: by loop and fault, the checks that may tell it.
        habits: by loop, what is unusual and sound.
    """
    for loop, kinds in wrong.items():
        for fault, found in kinds.items():
            yield SetUp(f"{loop}: {fault}", words(loop, fault), tuple(found.split()))
    for loop in wrong:
        for habit in ("", *habits.get(loop, ())):
            yield SetUp(f"{loop}: {habit or 'as it is'}", words(loop, habit))
