"""What to turn after a verdict: knobs, directions, and the rule that says so. Decides nothing.

Dropout and other penalties are named only where train was learned (R22).
"""

from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

RATE = "optimizer.lr"
EPOCHS = "trainer.epochs"
MOMENTUM, DECAY = "optimizer.momentum", "optimizer.weight_decay"
DROPOUT, CLIP = "model.dropout", "trainer.clip"
SMOOTHING, PATIENCE = "loss.label_smoothing", "trainer.patience"
NORM, AUGMENT = "model.norm", "augment"
CHECK = "check"  # the turn of a remedy that needs a hand
ON, CLASSES, RARE, BY_LENGTH = "on", "classification", "rare", "length"  # conditions of remedies
BY_CLASS = ("balanced_accuracy", "f1", "recall")  # metrics that a rare class weighs in as others do
MOST_DROPOUT = 0.5  # above which more of it is no remedy (R45)
ALARMS = (
    "nan",
    "exploding",
    "vanishing",
    "dead",
    "dead_units",
    "stuck",
    "lr_too_high",
    "lr_too_high_late",
    "lr_too_low",
    "unstable",
    "underfitting",
    "overfitting",
    "overconfident",
    "data_suspect",
)
CAUSES = ("rate_fell_early",)  # beside a verdict, and its cause: their remedies come first
FALLING = ("too_short", "still_learning", "lr_too_low")  # losses still fell at the end
# Verdicts of trainings of which validation has learned nothing.
NOT_LEARNED = ("data_suspect", "dead", "dead_units", "stuck", "vanishing")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A remedy. `knob`: its path in the stock trainer's config, or what it is.

    `turn`: raise, lower, set, check. `when`: the condition under which it holds: ON, its penalty is
    on already; CLASSES, the task is classification; RARE, the metric weighs rare classes as much as
    others; BY_LENGTH, a longer gradient makes a longer step, as in SGD, where Adam and the like
    divide by its length; empty where it always does.
    """

    knob: str
    turn: str
    rule: str
    says: str
    when: str = ""

    @property
    def alone(self) -> str:
        """What to do, without the word that joins it to the remedy before it."""
        return self.says.removeprefix("or ").removeprefix("and ").removeprefix("then ")


def _turn(turn: str, knob: str, rule: str, says: str, when: str = "") -> Advice:
    return Advice(knob=knob, turn=turn, rule=rule, says=says, when=when)


_BALANCE = _turn(
    "raise", "trainer.balance", "R13", "draw the rows of rare classes more often", RARE
)

ADVICE: dict[str, tuple[Advice, ...]] = {
    "nan": (
        _turn(
            "check",
            "data",
            "R20",
            "look for NaN or inf in data and labels, then for divisions and roots in model "
            "and loss",
        ),
        _turn("lower", RATE, "R20", "if those are sound, divide the learning rate by 10"),
        _turn("set", CLIP, "R48", "or clip the gradient's norm at 5"),
    ),
    "exploding": (
        _turn("set", CLIP, "R26", "clip the gradient's norm, at 5 to begin with"),
        _turn(
            "set",
            "model.init",
            "R42",
            "take initial weights that fit the activation, with a smaller gain",
        ),
        _turn("lower", RATE, "R20", "then divide the learning rate by 10"),
    ),
    "vanishing": (
        _turn("set", "model.activation", "R26", "take ReLU instead of sigmoid or tanh"),
        _turn("set", NORM, "R26", "put in batch norm"),
        _turn("set", "model.residual", "R26", "or put in residual connections"),
        _turn("lower", "model.depth", "R26", "or take fewer layers"),
    ),
    "dead_units": (
        _turn(
            "set",
            "model.init",
            "R26",
            "look at the initial weights and biases: units that never wake learn nothing",
        ),
        _turn("set", "model.activation", "R26", "take leaky ReLU, whose units cannot die"),
        _turn("lower", RATE, "R19", "and a lower learning rate, if they died while training"),
    ),
    "dead": (
        _turn(
            "check",
            "model",
            "R12",
            "run the preflight: does every weight get a gradient and belong to the optimizer?",
        ),
        _turn(
            "set",
            RATE,
            "R19",
            "find a useful learning rate with lr_range: far too small and far too large both "
            "end here",
        ),
        _turn("set", "model.init", "R19", "take smaller initial weights that are not zero"),
    ),
    "stuck": (
        _turn(
            "check",
            "model",
            "R26a",
            "switch regularisers off, see that gradients arrive, then look at data and labels",
        ),
        _turn("set", RATE, "R26a", "then try learning rates from large to small, dividing by 5"),
        _turn(
            "set",
            "optimizer",
            "R26a",
            "then the other optimizer of Adam and SGD, the activation, the initial weights",
        ),
        _turn("set", "model.activation", "R26a", "then the activation"),
        _turn("set", "model.init", "R26a", "then the initial weights"),
    ),
    "lr_too_high": (
        _turn("lower", RATE, "R23", "divide the learning rate by 3 to 10 and start again"),
    ),
    "lr_too_high_late": (
        _turn(
            "set",
            "schedule",
            "R23",
            "let the learning rate fall towards the end, and train the last part again",
        ),
        _turn("lower", RATE, "R23", "or lower the learning rate"),
    ),
    "lr_too_low": (
        _turn("raise", RATE, "R23", "multiply the learning rate by 3 to 10 and start again"),
        _turn(
            "raise", EPOCHS, "R15a", "if the rate cannot rise, train for longer: slow is not stuck"
        ),
    ),
    "lr_drop_due": (
        _turn(
            "set",
            "schedule",
            "R26b",
            "lower the learning rate by 3 to 10 and go on; plateau or cosine does so",
        ),
        _turn("lower", RATE, "R26b", "or lower the learning rate from the start"),
    ),
    "unstable": (
        _turn("set", CLIP, "P11", "clip the gradient's norm"),
        _turn("set", "schedule.warmup", "P11", "or warm the learning rate up"),
        _turn("set", "schedule", "P11", "or take a schedule that rises first, such as one_cycle"),
        _turn("lower", RATE, "R23", "or divide the learning rate by 2 or 3"),
    ),
    "underfitting": (
        _turn("lower", DROPOUT, "R34", "take penalties away first: dropout is on", ON),
        _turn("lower", DECAY, "R34", "take penalties away first: weight decay is on", ON),
        _turn("raise", "model.width", "R34", "take a wider model, or richer features"),
        _turn("raise", "model.depth", "R34", "then take a deeper model"),
        _turn("set", NORM, "R44", "and batch norm, with which deep models train better"),
        _turn("set", RATE, "R26a", "and see that the learning rate was right"),
    ),
    "overfitting": (
        _BALANCE,
        _turn(
            "raise", DECAY, "R34", "raise weight decay, which is on, before adding a penalty", ON
        ),
        _turn("raise", DROPOUT, "R34", "raise dropout, which is on, before adding a penalty", ON),
        _turn("raise", DROPOUT, "R45", "add dropout, up to 0.5"),
        _turn("raise", AUGMENT, "R49", "change train rows anew in every epoch (augmentation)"),
        _turn("raise", DECAY, "R46", "add weight decay"),
        _turn("set", NORM, "R34", "put in batch norm"),
        _turn("raise", SMOOTHING, "R21", "smooth the labels", CLASSES),
        _turn("raise", "model.depth", "R44", "take a deep and thin model"),
        _turn("lower", "model.width", "R34", "take a smaller model"),
        _turn("raise", "trainer.l1", "R46", "add an L1 penalty"),
        _turn("raise", "trainer.max_norm", "R46", "bound the norm of the weights"),
        _turn("check", "data", "R34", "more data helps most"),
    ),
    "overconfident": (
        _BALANCE,
        _turn("raise", SMOOTHING, "R21", "smooth the labels, 0.1 to begin with", CLASSES),
        _turn("raise", AUGMENT, "R49", "change train rows anew in every epoch (augmentation)"),
        _turn("raise", DROPOUT, "R45", "or add dropout, up to 0.5"),
        _turn("set", NORM, "R34", "or put in batch norm"),
        _turn("raise", "model.depth", "R44", "or take a deep and thin model"),
        _turn("set", "model.width", "R44", "or try another width, with the penalties that help"),
        _turn(
            "set", "trainer.flood", "R47", "or keep the train loss afloat, at 0.05 to begin with"
        ),
        _turn(
            "check",
            "data",
            "R21",
            "and look at the validation rows with the greatest loss: their labels may be wrong",
        ),
    ),
    "val_stalled": (
        _turn(
            "lower",
            EPOCHS,
            "R33",
            "if train is good: what it still gains does not reach validation, so stop here; if it "
            "is bad, train on first",
        ),
        _turn("raise", DECAY, "R34", "or hold the weights small"),
        _turn(
            "check",
            "data",
            "R18",
            "it is early overfitting, unless train is still bad (some call it underfitting)",
        ),
    ),
    "data_suspect": (
        _turn(
            "check",
            "data",
            "R18",
            "compare train and validation: preparation, labels, source; then run the preflight",
        ),
    ),
    "converged": (
        _BALANCE,
        _turn("set", "model.width", "R44", "another size may generalise better"),
        _turn("set", DECAY, "R46", "a little weight decay may generalise better"),
        _turn("raise", DROPOUT, "R45", "dropout may generalise better"),
        _turn("set", MOMENTUM, "R41", "another momentum may generalise better"),
        _turn("raise", AUGMENT, "R49", "augmentation may generalise better"),
        _turn("set", "schedule", "R38", "a rate that falls late may generalise better"),
        # Last: it is chosen for speed, and a small one costs time (P6).
        _turn("set", "trainer.batch_size", "R39", "another batch size may generalise better"),
    ),
    "still_learning": (
        _turn("raise", EPOCHS, "R27", "train for longer"),
        _turn("raise", RATE, "R23", "or try a higher learning rate"),
    ),
    "too_short": (_turn("raise", EPOCHS, "R15a", "train for longer before judging anything"),),
    "cannot_tell": (
        _turn("check", "metric", "R17", "more epochs, or more validation rows, would tell"),
        _turn("raise", EPOCHS, "R27", "train for longer"),
    ),
    "rate_fell_early": (_turn("set", "schedule", "R38", "let the rate fall later, or not at all"),),
    "more_epochs": (_turn("raise", EPOCHS, "P10", "train for longer"),),
    "fewer_epochs": (_turn("lower", EPOCHS, "R27", "stop earlier: the rest only overfits"),),
    "always_clipped": (
        _turn("raise", CLIP, "R48", "clip less, or tune the clip with the rate", BY_LENGTH),
    ),
}


def is_longer(advice: Advice) -> bool:
    """Whether a remedy is more epochs."""
    return (advice.knob, advice.turn) == (EPOCHS, "raise")


def why_not(advice: Advice, config: DictConfig, *, out_of_patience: bool = False) -> str:
    """Why the condition of a remedy does not hold for a config; empty where it does.

    `out_of_patience`: patience ended the training, so that more epochs would change nothing; nor
    would fewer, where no schedule depends on them.
    """
    is_task = str(OmegaConf.select(config, "data.task")) == CLASSES
    if out_of_patience and advice.knob == EPOCHS:
        follows = OmegaConf.select(config, "schedule._target_") is not None
        return "" if follows and not is_longer(advice) else "patience ended the trainings"
    value = OmegaConf.select(config, advice.knob)
    number = value if isinstance(value, int | float) else 0.0
    if (advice.knob, advice.turn) == (DROPOUT, "raise") and number > MOST_DROPOUT:
        return f"it is above {MOST_DROPOUT}"
    optimizer = str(OmegaConf.select(config, "optimizer._target_"))
    unmet = {
        ON: ("it is off", number > 0),
        CLASSES: ("the task is no classification", is_task),
        RARE: ("no metric of rare classes", is_task and str(config.metric.name) in BY_CLASS),
        BY_LENGTH: ("this optimizer divides by the gradient", optimizer.endswith("SGD")),
    }
    reason, holds = unmet.get(advice.when, ("", True))
    return "" if holds else reason
