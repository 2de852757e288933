"""What guests bring, written before anyone looked at the rules again: named tables read from text, own models, own trainers, own losses.

Every third was put aside, unseen, until the rules stood.
"""

from planted import SetUp

REGRESSION = ["data=diabetes", "metric=r2", "loss=mse"]
GIVEN = ["split=predefined", "split.test=0.25", "split.val=given"]
ADAM = ["optimizer=adam", "optimizer.lr=0.003"]
NUMBERS = ("homes", "season", "counts")


def _rows(source, habit, *more):
    words = [f"data._target_=guests_rows.{source}", "data.inputs=null", "data.outputs=null"]
    kind = REGRESSION if source in NUMBERS else []
    given = GIVEN * ("validation" in habit or habit == "a later quarter")
    split = ["split=ordered"] * (source == "season")
    split += ["split=grouped"] * ("grouped" in habit)
    return [*kind, *words, "+data.seed=0", f"+data.fault='{habit}'", *given, *split, *ADAM, *more]


def _model(source, habit, *more):
    return [
        *_rows(source, ""), "model=own", "~model.width", "+model._target_=guests_models.Net", "+model.inputs=${data.inputs}",
        "+model.outputs=${data.outputs}", f"+model.habit='{habit}'", *more,
    ]  # fmt: skip


def _loop(script, source, habit):
    words = [word for word in _rows(source, "") if not word.startswith("optimizer")]
    return [
        *words, "model=own", "optimizer.lr=0.003", f"trainer._target_=guests_loops.{script}", "trainer.predict=null",
        f'+trainer.habit="{habit}"',
    ]  # fmt: skip


LEAK, NEAR, RATE, STEPS = "telltale_feature", "shared_rows", "learning_rate", "optimizer_steps"
FAULTY_ROWS = {
    "churn": {
        "paid less due": LEAK, "months of each class": LEAK, "-999 in a twentieth": "extreme_values missing_values",
        "-1 for an unknown age": "extreme_values missing_values", "measured twice": NEAR, "families": NEAR, "file of each class": LEAK,
        "cents in validation": "same_distribution", "one of a hundred": "class_balance",
    },
    "homes": {
        "tax and net": LEAK, "logarithm, noisy": LEAK, "bracket": LEAK, "thousands in validation": "validation_labels targets",
        "another join in validation": "validation_labels",
    },
    "lab": {
        "compass": LEAK, "half of a sort": "label_noise", "two sorts swapped in validation": "validation_labels",
        "farads, nearly twice": NEAR, "joined one row off": "label_order label_signal label_noise labels_matter",
    },
    "pictures": {"a third relabelled": "label_noise", "three nines in validation": "validation_labels", "flipped before the split": NEAR},
    "cells": {"in order of the file": LEAK},
    "season": {"total of the week": LEAK},
}  # fmt: skip
SOUND_ROWS = {
    "churn": (
        "", "two bills", "moments", "debts", "families, grouped", "tickets drawn", "dummies", "percent of a day", "strong and honest",
    ),
    "homes": ("", "old price", "a later quarter", "dear ones", "many unsold"), "lab": ("", "wind", "farads"), "pictures": ("", "a few unclear"),
    "cells": ("",), "season": ("",),
}  # fmt: skip
FAULTY_MODELS = {
    "layers in a dict": "gradients", "gate shut for good": "gradients", "slow batch norm": "batch_norm evaluation_mode",
    "first state": "gradients", "drawn in forward": "evaluation_mode repeatable", "branch without gradient": "gradients",
    "hard choice": "gradients", "dropout on the answer": "output_layer evaluation_mode", "shares before the loss": "output_layer",
    "scaled twice": "feature_scales capacity gradients first_loss initial_weights",
}  # fmt: skip
SOUND_MODELS = (
    "", "module dict", "gate opens", "batch norm", "last state", "straight through", "spectral", "weight norm", "random waves", "sines",
    "gated units", "cosine",
)  # fmt: skip
CLASSES = {
    "cosine of epochs per batch": RATE, "power of epochs per batch": RATE, "rate by hand, per batch": f"{RATE} {STEPS}",
    "plateau of accuracy, wrong way": RATE, "schedule anew per epoch": f"{RATE} {STEPS}", "batches too large": "batches trains optimizer_steps",
    "the same fifth": "batches shuffling", "shrunk by hand": STEPS, "clamped to a thousandth": f"{STEPS} capacity gradients",
    "step before backward": f"{STEPS} gradients", "never cleared": STEPS, "loss negated": f"{RATE} {STEPS} output_layer first_loss trains",
    "head replaced afterwards": "gradients optimizer_steps", "a copy is evaluated": "evaluation_mode reported_losses",
    "loss of train's rows": "reported_losses", "labels in another order": "reported_losses", "mean of all epochs": "reported_losses",
    "shares, then shares again": "output_layer", "likelihood without logarithm": "output_layer", "shares over the rows": "output_layer",
    "two sigmoids": "output_layer",
}  # fmt: skip
FAULTY_NUMBERS = {"flat against column": "output_layer", "summed": "output_layer first_loss batches", "positive part": "output_layer"}  # fmt: skip
SOUND_CLASSES = (
    "", "a fifth, drawn anew", "drawn by rarity", "drops the rest", "easy rows first", "cosine", "plateau", "warm-up per batch",
    "soft threshold", "noise of a sampler", "slow weights", "attacked rows", "a quasi-Newton method", "backbone frozen on purpose",
    "averaged, norms updated", "focal by hand", "one against all", "smoothed and weighed", "squares of shares",
)  # fmt: skip
SOUND_NUMBERS = ("", "flat against flat", "ninth decile", "mean and spread", "three bells", "log-cosh")  # fmt: skip


def _faults():
    for source, kinds in FAULTY_ROWS.items():
        for habit, found in kinds.items():
            yield f"{source}: {habit}", _rows(source, habit), found
    yield "homes: in cents", _rows("homes", "in cents", "normalise.target=false"), "targets"
    for habit, found in FAULTY_MODELS.items():
        yield f"model: {habit}", _model("pictures", habit), found
    sigmoid = _model("homes", "sigmoid on a number")
    yield "model: sigmoid on a number", sigmoid, "output_layer"
    for number, (habit, found) in enumerate(CLASSES.items()):
        source = ("pictures", "lab")[number % 2]
        yield f"classes: {habit}", _loop("classes", source, habit), found
    for habit, found in FAULTY_NUMBERS.items():
        yield f"numbers: {habit}", _loop("numbers", "homes", habit), found


def _sound():
    for source, kinds in SOUND_ROWS.items():
        for habit in kinds:
            yield f"{source}: {habit or 'as it is'}", _rows(source, habit)
    for habit in SOUND_MODELS:
        yield f"model: {habit or 'as it is'}", _model("pictures", habit)
    for number, habit in enumerate(SOUND_CLASSES):
        source = ("pictures", "lab")[number % 2]
        yield f"classes: {habit or 'as it is'}", _loop("classes", source, habit)
    for habit in SOUND_NUMBERS:
        yield f"numbers: {habit or 'as it is'}", _loop("numbers", "homes", habit)
    for habit in ("", "teacher judged"):
        words = _loop("teacher_and_student", "pictures", habit)
        yield f"teacher_and_student: {habit or 'as it is'}", words


FAULTS = [
    SetUp(name, words, tuple(found.split()), aside=number % 3 == 2)
    for number, (name, words, found) in enumerate(sorted(_faults()))
]
SOUND = [
    SetUp(name, words, aside=number % 3 == 2)
    for number, (name, words) in enumerate(sorted(_sound()))
]
