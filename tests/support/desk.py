"""Further members of three kinds of faults that `daily` had: what a loss is told of the classes, an optimizer that is made anew, language models
that see what they are to say. A third was put aside until the rules stood."""

from daily import HITS, OWN
from planted import SetUp

CLASSES, OPTIMIZER, SPEAKS = "output_layer", "optimizer_steps", "labels_matter"
FAULTY_COUNTED = {
    "second class is padding": (CLASSES, "uneven"),
    "weights by rows": (CLASSES, "uneven"),
    "weights by rows, mean 1": (CLASSES, "people"),
    "rows over others": (CLASSES, "people"),
    "odd or even": (CLASSES, "pictures"),
    "momentum anew per step": (OPTIMIZER, "pictures"),
}
FAULTY_SPEAK = (
    "attending, sees all",
    "attending, sees all, classes second",
    "recurrent, sees all",
    "recurrent, not shifted",
    "attending, not shifted, padded",
)
ASIDE_COUNTED = {
    "likelihood without the last class": (CLASSES, "pictures"),
    "thirds": (CLASSES, "pictures"),
    "rms anew per step": (OPTIMIZER, "uneven"),
}
ASIDE_SPEAK = ("window, sees all", "steps first, sees all", "window, not shifted, classes second")
SOUND_COUNTED = {
    "": "uneven",
    "a number beyond the classes": "pictures",
    "one over rows": "uneven",
    "one minus share": "people",
    "dear errors": "people",
    "others over rows": "people",
    "coarse and fine": "pictures",
    "plain steps anew": "pictures",
    "momentum anew per epoch": "uneven",
}
SOUND_SPEAK = (
    "attending",
    "attending, classes second",
    "recurrent, padded",
    "hidden words",
    "itself from all",
    "window",
)
SOUND_ASIDE_COUNTED = {
    "root of one over rows": "uneven",
    "others over rows, named the other way": "people",
    "anew per epoch": "pictures",
}
SOUND_ASIDE_SPEAK = ("steps first", "normed", "window, padded")


def _loop(script, habit, source=""):
    rows = [*OWN, *HITS]
    if script == "counted":
        room = "desk_loops" if source == "uneven" else "daily_rows"
        rows = [f"data._target_={room}.{source}", "data.inputs=null", "data.outputs=null"]
        rows += ["+data.seed=0"]
    return [
        *rows,
        "model=own",
        f"optimizer.lr={0.02 if script == 'counted' else 0.003}",
        f"trainer._target_=desk_loops.{script}",
        "trainer.predict=null",
        f"+trainer.fault='{habit}'",
    ]


def _set_ups(counted, speak, *, aside):
    for habit, entry in counted.items():
        found, source = entry if isinstance(entry, tuple) else ("", entry)
        words = _loop("counted", habit, source)
        yield SetUp(f"counted: {habit or 'as it is'}", words, tuple(found.split()), aside=aside)
    found = (SPEAKS,) if any("sees all" in habit for habit in speak) else ()
    for habit in speak:
        yield SetUp(f"speak: {habit}", _loop("speak", habit), found, aside=aside)


FAULTS = [
    *_set_ups(FAULTY_COUNTED, FAULTY_SPEAK, aside=False),
    *_set_ups(ASIDE_COUNTED, ASIDE_SPEAK, aside=True),
]
SOUND = [
    *_set_ups(SOUND_COUNTED, SOUND_SPEAK, aside=False),
    *_set_ups(SOUND_ASIDE_COUNTED, SOUND_ASIDE_SPEAK, aside=True),
]
