"""Training scripts as tutorials write them, under a trainer of one's own: as they are, and with one wrong line each.

The wrong lines, and the checks that may name them, were chosen before anyone ran one.
"""

from own_loops import loop_words, set_ups

SIZES = {
    "tutorials_pictures.mnist": 900, "tutorials_pictures.averaged": 900,
    "tutorials_pictures.compiled": 900, "tutorials_pictures.mixup": 900,
    "tutorials_pictures.segments": 400, "tutorials_pictures.vae": 900,
    "tutorials_tables.kaggle": 900, "tutorials_tables.letters": 900,
    "tutorials_tables.siamese": 900, "tutorials_tables.windows": 900,
    "tutorials_tables.rare": 900,
    "tutorials_losses.gathered": 1200, "tutorials_losses.half": 1200,
    "tutorials_losses.gan": 900, "tutorials_losses.tags": 900,
    "tutorials_losses.ordinal": 442, "tutorials_losses.quantiles": 442,
    "tutorials_losses.survival": 569, "tutorials_losses.cancer": 569,
}  # fmt: skip
WRONG = {
    "mnist": {
        "no eval": "evaluation_mode",
        "softmax without log": "output_layer",
        "softmax over rows": "output_layer evaluation_mode",
        "dropout on the answer": "evaluation_mode output_layer",
        "gradients kept": "optimizer_steps",
        "tests on train": "reported_losses",
        "divided by batches": "reported_losses",
        "schedule per batch": "learning_rate",
    },
    "averaged": {
        "never updated": "evaluation_mode",
        "average put back": "optimizer_steps evaluation_mode",
    },
    "compiled": {
        "labels of the file before": "labels_matter overfit label_signal",
        "no shuffle": "shuffling",
        "back to the start": "optimizer_steps evaluation_mode",
    },
    "mixup": {
        "labels alone": "labels_matter overfit batches",
        "shares swapped": "labels_matter overfit batches",
    },
    "segments": {
        "skip forgotten": "gradients capacity",
        "sigmoid twice": "output_layer",
        "masks up to 255": "output_layer first_loss targets",
        "picture flipped alone": "labels_matter overfit batches",
        "overlap of logits": "output_layer first_loss trains overfit",
        "overlap is lost": "output_layer overfit reported_losses",
    },
    "vae": {
        "pixels up to 16": "output_layer targets first_loss batches",
        "codes detached": "gradients",
        "divergence lost": "output_layer trains overfit reported_losses learning_rate",
        "no step": "trains optimizer_steps gradients",
    },
    "kaggle": {
        "label among columns": "telltale_feature labels_matter batches",
        "validation not scaled": "batches",
        "labels of the sorted frame": "labels_matter label_signal overfit",
        "trains on all": "batches reported_losses",
        "no activation": "capacity",
        "sigmoid twice": "output_layer",
        "squares, broadcast": "output_layer",
        "plateau of the accuracy": "learning_rate",
    },
    "letters": {
        "steps first": "evaluation_mode",
        "softmax twice": "output_layer",
        "not shifted": "labels_matter reported_losses telltale_feature",
        "viewed": "output_layer",
        "clipped to 0": "learning_rate optimizer_steps gradients",
    },
    "siamese": {
        "two towers, one optimized": "gradients",
        "one against itself": "gradients trains output_layer overfit",
        "no hinge": "trains overfit output_layer learning_rate",
        "pairs swapped": "labels_matter overfit output_layer",
    },
    "windows": {
        "value within the window": "telltale_feature labels_matter batches",
        "steps first": "evaluation_mode",
        "head after the optimizer": "gradients",
        "first step": "capacity",
        "broadcast": "output_layer",
        "validation reversed": "reported_losses validation_labels",
    },
    "rare": {
        "weights upside down": "class_balance output_layer first_loss",
        "weights of other classes": "class_balance output_layer first_loss",
        "drawn by their number": "class_balance batches output_layer",
        "drawn by other labels": "class_balance batches output_layer",
    },
    "gathered": {
        "cleared before each": "optimizer_steps",
        "never cleared": "optimizer_steps",
        "clipped after the step": "optimizer_steps gradients",
        "schedule per epoch": "learning_rate",
    },
    "half": {
        "clipped while scaled": "learning_rate optimizer_steps",
        "step of the optimizer": "learning_rate trains optimizer_steps",
        "both steps": "optimizer_steps",
    },
    "gan": {
        "both of one": "gradients",
        "critic never cleared": "optimizer_steps",
        "fake detached for both": "gradients optimizer_steps",
        "generator never steps": "gradients",
    },
    "tags": {
        "softmax": "output_layer",
        "sigmoid twice": "output_layer",
        "labels of other rows": "labels_matter overfit",
        "thresholded": "gradients output_layer",
    },
    "ordinal": {
        "thresholds not registered": "gradients",
        "levels of one": "output_layer labels_matter overfit",
        "upside down": "output_layer labels_matter overfit",
    },
    "quantiles": {"broadcast": "output_layer", "smaller part": "trains overfit output_layer"},
    "survival": {
        "risk set of the early": "labels_matter overfit",
        "sign lost": "trains overfit output_layer",
    },
    "cancer": {
        "focus on the sure": "overfit labels_matter trains",
        "sum of the batch": "first_loss output_layer learning_rate",
    },
}
HABITS = {
    "averaged": ("use_buffers", "buffers of the start"),
    "compiled": ("best state taken up again", "a view of the state"),
    "mixup": ("pictures alone",),
    "rare": ("drawn",),
}


def _words(script, fault):
    path = next(path for path in SIZES if path.endswith(f".{script}"))
    return loop_words(path, rows=SIZES[path], fault=fault)


EVERY = list(set_ups(_words, wrong=WRONG, habits=HABITS))
FAULTS = [setup for setup in EVERY if setup.found]
SOUND = [setup for setup in EVERY if not setup.found]
