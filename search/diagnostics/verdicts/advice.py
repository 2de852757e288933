"""What to turn after a verdict: knobs, directions, and the rule that says so. Decides nothing.

Dropout and other penalties are named only where train was learned (R22).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from omegaconf import DictConfig, OmegaConf

from search.config.knob_parts import EPOCHS

MOMENTUM, DROPOUT, PATIENCE = "optimizer.momentum", "model.dropout", "trainer.patience"
CHECK = "check"  # the turn of a remedy that a person carries out
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
CAUSES = ("rate_fell_early",)  # seen beside a verdict, and its cause: their remedies come first
FALLING = ("too_short", "still_learning", "lr_too_low")  # losses still fell at the end
# Verdicts on trainings that have learned nothing which holds on validation.
NOT_LEARNED = ("data_suspect", "dead", "dead_units", "stuck", "vanishing")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A remedy. `knob`: its path in the stock trainer's config, or what it is. `at`: its path in a
    config that calls it otherwise.

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
    at: str = ""

    @property
    def path(self) -> str:
        """Its path in the config."""
        return self.at or self.knob

    def among(self, parts: Mapping[str, str]) -> tuple["Advice", ...]:
        """The remedy once for each knob that plays its part under another path, then the remedy
        itself, unless its own path plays another part. `parts`: path → part, as in
        `search.config.knob_parts`.
        """
        own = (replace(self, at=path) for path, part in parts.items() if part == self.knob)
        return (*own, *(() if self.knob in parts else (self,)))

    @property
    def alone(self) -> str:
        """What to do, without the word that joins it to the remedy before it."""
        return self.says.removeprefix("or ").removeprefix("and ").removeprefix("then ")


# By verdict its remedies, the first first: turn, knob, rule, its condition if any, what is said.
# `converged` has the batch size last: it is chosen for speed, and a small one costs time (P6).
_TABLE = """
nan
  check data R20: look for NaN or inf in data and labels, then for divisions and roots in model and
      loss
  lower optimizer.lr R20: if those are sound, divide the learning rate by 10
  set trainer.clip R48: or clip the gradient's norm at 5
exploding
  set trainer.clip R26: clip the gradient's norm, at 5 to begin with
  set model.init R42: take initial weights that fit the activation, with a smaller gain
  lower optimizer.lr R20: then divide the learning rate by 10
vanishing
  set model.activation R26: take ReLU instead of sigmoid or tanh
  set model.norm R26: put in batch norm
  set model.residual R26: or put in residual connections
  lower model.depth R26: or take fewer layers
dead_units
  set model.init R26: look at the initial weights and biases: units that never wake learn nothing
  set model.activation R26: take leaky ReLU, whose units cannot die
  lower optimizer.lr R19: and a lower learning rate, if they died while training
dead
  check model R12: run the preflight: does every weight get a gradient and belong to the optimizer?
  set optimizer.lr R19: find a useful learning rate with lr_range: far too small and far too large
      both end here
  set model.init R19: take smaller initial weights that are not zero
stuck
  check model R26a: switch regularisers off, see that gradients arrive, then look at data and labels
  set optimizer.lr R26a: then try learning rates from large to small, dividing by 5
  set optimizer R26a: then the other optimizer of Adam and SGD, the activation, the initial weights
  set model.activation R26a: then the activation
  set model.init R26a: then the initial weights
lr_too_high
  lower optimizer.lr R23: divide the learning rate by 3 to 10 and start again
lr_too_high_late
  set schedule R23: let the learning rate fall towards the end, and train the last part again
  lower optimizer.lr R23: or lower the learning rate
lr_too_low
  raise optimizer.lr R23: multiply the learning rate by 3 to 10 and start again
  raise trainer.epochs R15a: if the rate cannot rise, train for longer: slow is not stuck
lr_drop_due
  set schedule R26b: lower the learning rate by 3 to 10 and go on; plateau or cosine does so
  lower optimizer.lr R26b: or lower the learning rate from the start
unstable
  set trainer.clip P11: clip the gradient's norm
  set schedule.warmup P11: or warm the learning rate up
  set schedule P11: or take a schedule that rises first, such as one_cycle
  lower optimizer.lr R23: or divide the learning rate by 2 or 3
underfitting
  lower model.dropout R34 if on: take penalties away first: dropout is on
  lower optimizer.weight_decay R34 if on: take penalties away first: weight decay is on
  raise model.width R34: take a wider model, or richer features
  raise model.depth R34: then take a deeper model
  set model.norm R44: and batch norm, with which deep models train better
  set optimizer.lr R26a: and see that the learning rate was right
overfitting
  raise trainer.balance R13 if rare: draw the rows of rare classes more often
  raise optimizer.weight_decay R34 if on: raise weight decay, which is on, before adding a penalty
  raise model.dropout R34 if on: raise dropout, which is on, before adding a penalty
  raise model.dropout R45: add dropout, up to 0.5
  raise augment R49: change train rows anew in every epoch (augmentation)
  raise optimizer.weight_decay R46: add weight decay
  set model.norm R34: put in batch norm
  raise loss.label_smoothing R21 if classification: smooth the labels
  raise model.depth R44: take a deep and thin model
  lower model.width R34: take a smaller model
  raise trainer.l1 R46: add an L1 penalty
  raise trainer.max_norm R46: bound the norm of the weights
  check data R34: more data helps most
overconfident
  raise trainer.balance R13 if rare: draw the rows of rare classes more often
  raise loss.label_smoothing R21 if classification: smooth the labels, 0.1 to begin with
  raise augment R49: change train rows anew in every epoch (augmentation)
  raise model.dropout R45: or add dropout, up to 0.5
  set model.norm R34: or put in batch norm
  raise model.depth R44: or take a deep and thin model
  set model.width R44: or try another width, with the penalties that help
  set trainer.flood R47: or keep the train loss afloat, at 0.05 to begin with
  check data R21: and look at the validation rows with the greatest loss: their labels may be wrong
val_stalled
  lower trainer.epochs R33: if train is good: what it still gains does not reach validation, so stop
      here; if it is bad, train on first
  raise optimizer.weight_decay R34: or hold the weights small
  check data R18: it is early overfitting, unless train is still bad (some call it underfitting)
data_suspect
  check data R18: compare train and validation: preparation, labels, source; then run the preflight
converged
  raise trainer.balance R13 if rare: draw the rows of rare classes more often
  set model.width R44: another size may generalise better
  set optimizer.weight_decay R46: a little weight decay may generalise better
  raise model.dropout R45: dropout may generalise better
  set optimizer.momentum R41: another momentum may generalise better
  raise augment R49: augmentation may generalise better
  set schedule R38: a rate that falls late may generalise better
  set trainer.batch_size R39: another batch size may generalise better
still_learning
  raise trainer.epochs R27: train for longer
  raise optimizer.lr R23: or try a higher learning rate
too_short
  raise trainer.epochs R15a: train for longer before judging anything
cannot_tell
  check metric R17: more epochs, or more validation rows, would tell
  raise trainer.epochs R27: train for longer
rate_fell_early
  set schedule R38: let the rate fall later, or not at all
more_epochs
  raise trainer.epochs P10: train for longer
fewer_epochs
  lower trainer.epochs R27: stop earlier: the rest only overfits
always_clipped
  raise trainer.clip R48 if length: clip less, or tune the clip with the rate
"""


def _read(table: str) -> dict[str, tuple[Advice, ...]]:
    """The table; a line that is indented further goes on with the one before."""
    advice: dict[str, tuple[Advice, ...]] = {}
    verdict = ""
    for line in table.strip().replace("\n      ", " ").splitlines():
        if not line.startswith(" "):
            verdict = line
            advice[verdict] = ()
            continue
        head, _, says = line.strip().partition(": ")
        turn, knob, rule, *condition = head.split()
        advice[verdict] += (
            Advice(knob=knob, turn=turn, rule=rule, says=says, when="".join(condition[1:])),
        )
    return advice


ADVICE = _read(_TABLE)


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
    value = OmegaConf.select(config, advice.path)
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
