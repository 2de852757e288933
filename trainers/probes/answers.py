"""What the questions to a training are answered, key by key: the input of the preflight's checks
beside what is told of the watched training. No torch.

As it has gone through JSON. `cause`: why there is no answer; then nothing else stands there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

from trainers.probes.told import Watched

Number = Any  # a float, or None where it is not finite


class Unanswered(TypedDict, total=False):
    """What any question may be answered."""

    cause: str


class Try(TypedDict):
    """One try to learn rows by heart. `again`: `val_loss` computed from the predictions."""

    rate: float
    steps: int
    rows: int  # that it took, up to a few times as many as it was given
    score: Number  # of 1; None also where the trainer tells no predictions
    start: Number  # the first loss
    end: Number
    val_loss: Number
    again: Mapping[str, float] | None
    metric: Sequence[float]  # first and last ones
    lost: bool  # whether the last loss is not finite
    fitted: bool
    error: str


class ByHeart(Unanswered, total=False):
    """Of `questions.learned_by_heart`. `left_out`: rates for which there was no time."""

    rows: int
    tries: Sequence[Try]
    left_out: int
    by_hand: bool
    numbers: bool


class LabelsMatter(Unanswered, total=False):
    """Of `questions.labels_matter`. `true`, `shuffled`: scores; `fell`: share of the first loss."""

    true: float
    shuffled: float
    rows: int
    deviations: Number
    fell: Number


class Terms(TypedDict):
    """Of a loss that is a sum: the least `share` of a term's gradient; whether a `silent` one, of
    which no gradient comes, changes with the weights.
    """

    share: Number
    silent: bool


class HeldOut(Unanswered, total=False):
    """Of `held_out.held_out`: losses of batches that a copy has not learned, at the `start`, now
    (`held`), with other rows' answers (`mixed`); of rows `evaluated` the same three; standard
    errors of what it has not learned (`deviations`) and has (`own`); classes, and what rows are
    taken for, of both (`named`); the share of wrong ones among those it is surest of (`doubted`).
    """

    start: float
    held: float
    mixed: float
    deviations: Number
    own: float
    ids: bool  # whether rows are single whole numbers, which others may not hold
    terms: Terms
    evaluated: Sequence[Number]
    named: Sequence[Sequence[Sequence[int]]]
    doubted: Number


class Heard(Unanswered, total=False):
    """Of `heard.heard`: scores and `val_loss` of two epochs as they are, and where the model
    answers otherwise to all evaluated batches but the last, then to the last alone; rows of these
    batches (`sizes`); numbers of an epoch's train batches by name (`train`).
    """

    plain: Sequence[Sequence[Number]]
    changed: Sequence[Sequence[Number]]
    sizes: Sequence[int]
    train: Sequence[Mapping[str, Number]]


class Uphill(Unanswered, total=False):
    """Of `uphill.uphill`: scores of trainings without steps, as they are, and with steps the other
    way, seed by seed.
    """

    still: Sequence[Number]
    own: Sequence[Number]
    turned: Sequence[Number]


class Padding(Unanswered, total=False):
    """Of `padding.padding_counts`: losses by name; `changed`: by what was done to the padding."""

    plain: Mapping[str, float]
    changed: Mapping[str, Mapping[str, float]]


class StepTime(TypedDict):
    """Of batches of one size."""

    batch: int
    seconds: float
    megabytes: float
    error: str


class Speed(Unanswered, total=False):
    """Of `speed.speed`. `own_steps`: of an epoch, where a trainer takes rows of its own; else 0."""

    batches: Sequence[StepTime]
    rows: int
    own_steps: int


class OwnGradients(Unanswered, total=False):
    """Of `gradients.wrong_gradients`. `told`: what is wrong; empty where nothing is."""

    told: str
    tensors: int


class Answers(TypedDict, total=False):
    """All of a preflight, by the names of the checks that ask. `seconds`: that each took."""

    watched: Required[Watched]
    seconds: Required[Mapping[str, float]]
    overfit: ByHeart
    labels_matter: LabelsMatter
    held_out: HeldOut
    heard: Heard
    uphill: Uphill
    padding: Padding
    speed: Speed
    own_gradients: OwnGradients


class Ramps(TypedDict):
    """Losses of a ramp of the rate, per seed; `cause`: why they say nothing.

    `untrained`: of the same steps at a rate of 0, where the ramps alone give no range; else empty.
    """

    seeds: Sequence[int]
    losses: Sequence[Sequence[Number]]
    untrained: Sequence[Sequence[Number]]
    cause: str
