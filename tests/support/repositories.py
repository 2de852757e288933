"""Training scripts in the styles of public repositories, under a trainer of one's own: as they are, with sound habits, and with one wrong
line each. Lines, and the checks that may name them, were written down before anyone ran one; every third was put aside until the rules stood."""

from dataclasses import replace

from own_loops import loop_words, set_ups

ROWS = {
    "pictures.template": 1000, "pictures.folder": 1000, "pictures.finetuned": 1000, "text.gpt": 1000,
    "text.translation": 1000, "text.reviews": 1200, "tables.focal": 569, "tables.graph": 569,
    "tables.contrast": 1000, "tables.sharp": 1000, "tables.tasks": 442, "text.distilled": 1000,
}  # fmt: skip
OUT, OVER, STEP, RATE, GRAD = (
    "output_layer",
    "overfit",
    "optimizer_steps",
    "learning_rate",
    "gradients",
)
EVAL, TOLD, MATTER = "evaluation_mode", "reported_losses", "labels_matter"
WRONG = {
    "template": {
        "dropout as function": EVAL,
        "divided by 255 twice": f"feature_scales batches capacity trains {RATE} {GRAD} dead_units",
        "model built again": f"{GRAD} {STEP}",
        "betas swapped": f"{RATE} {STEP}",
        "momentum as decay": f"{RATE} {STEP} trains capacity {OVER}",
        "schedule of another optimizer": RATE,
        "gamma of ten": f"{RATE} trains",
        "cosine told the loss": RATE,
        "train mode once": EVAL,
        "loss wrapped anew": f"{GRAD} {STEP} trains",
        "validation trains": f"batches {EVAL} {STEP} {TOLD}",
    },
    "folder": {
        "lists sorted apart": f"{MATTER} {OVER} label_signal label_order batches",
        "shuffled apart": f"{MATTER} {OVER} label_signal batches",
        "doubled before the split": "batches shared_rows same_distribution",
        "split anew each epoch": "batches shared_rows",
        "first batch of an iterator": "batches shuffling",
        "score of two passes": f"{OVER} {TOLD} {MATTER}",
    },
    "finetuned": {
        "names with a prefix": f"initial_weights {GRAD} {STEP}",
        "all frozen but a bias": f"{GRAD} {STEP} capacity",
        "thawed outside the optimizer": f"{GRAD} {STEP}",
        "rates swapped to nothing": f"{RATE} {STEP} {GRAD}",
        "features without gradients": f"{GRAD} {STEP}",
    },
    "gpt": {
        "mask multiplies": f"{MATTER} telltale_feature",
        "mask the other way": f"{MATTER} telltale_feature",
        "softmax over queries": f"{MATTER} {OUT} telltale_feature {EVAL}",
        "embeddings in no group": f"{GRAD} {STEP}",
        "target is the token": f"{MATTER} telltale_feature {TOLD}",
        "warm-up in whole numbers": RATE,
    },
    "translation": {
        "state detached": GRAD,
        "decoder sees the word": f"{MATTER} telltale_feature {TOLD}",
        "batch turned twice": f"{MATTER} {OVER} batches",
        "classes in the wrong place": OUT,
    },
    "reviews": {
        "last place of the padded": "padding capacity",
        "state of the batch before": f"{EVAL} repeatable",
        "labels left unsorted": f"{MATTER} {OVER} batches label_signal",
    },
    "focal": {
        "logarithm over rows": f"{OUT} {EVAL}",
        "shares given": OUT,
        "sure by its logarithm": f"{OUT} {OVER} trains",
        "all of one class": f"class_balance {MATTER} batches targets",
        "scaled by its own": f"batches {EVAL} same_distribution",
    },
    "graph": {"mask inverted": f"batches {TOLD}", "all nodes": f"batches {TOLD}"},
    "contrast": {
        "normed over rows": f"{OUT} {EVAL}",
        "times the temperature": f"{OUT} {OVER} {RATE} trains",
        "itself among the others": f"{OUT} {OVER} trains",
        "partner of another row": f"{MATTER} {OVER} trains",
        "encoder not given": f"{GRAD} {STEP}",
        "encoder detached": GRAD,
    },
    "sharp": {
        "attack's gradient kept": STEP,
        "first gradient kept": STEP,
        "never taken back": STEP,
    },
    "tasks": {
        "spreads not given": f"{GRAD} {STEP}",
        "cut to whole numbers": f"targets {OUT} {MATTER} batches",
        "column against row": OUT,
        "second overwrites": GRAD,
    },
    "distilled": {
        "logarithms as shares": OUT,
        "no logarithm": OUT,
        "teacher left in training": EVAL,
    },
}  # fmt: skip
HABITS = {
    "template": ("cosine", "nesterov"),
    "folder": ("a quarter of validation", "no changes"),
    "finetuned": ("head left out", "backbone frozen"),
    "gpt": ("tied", "a few rows drawn"),
    "translation": ("free in validation",),
    "graph": ("not divided",),
    "contrast": ("not normed",),
    "sharp": ("attack",),
    "tasks": ("plain sum",),
}


def _words(script, fault):
    path = next(path for path in ROWS if path.endswith(f".{script}"))
    return loop_words(f"repositories_{path}", rows=ROWS[path], fault=fault)


EVERY = [
    replace(setup, aside=number % 3 == 2)
    for number, setup in enumerate(set_ups(_words, wrong=WRONG, habits=HABITS))
]
FAULTS = [setup for setup in EVERY if setup.found]
SOUND = [setup for setup in EVERY if not setup.found]
