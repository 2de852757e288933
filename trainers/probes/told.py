"""What is told of a watched training, key by key: the input of the preflight's checks. No torch.

As it has gone through JSON: numbers that are not finite are None, tuples are lists.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

Numbers = Sequence[float]
Answer = Mapping[str, Any]  # what another question told, or a part of it
FELL = 0.2  # share of a loss that a copy must have learned, for evaluations to be compared


class Watched(TypedDict):
    """Lists are in order of time. Of the first two epochs, on rows of `rows` and `val_rows`."""

    # How it ended, and what it told.
    error: str  # what it raised
    unread: str  # why a trial would fail on what it told
    cut: str  # why it was left before its second epoch ended
    rows: int  # train rows that it was given
    val_rows: int
    epochs_told: int
    train_loss: Sequence[float | None]  # of each epoch
    val_loss: Sequence[float | None]
    first_loss: float | None  # of the untrained model, if told
    not_finite: Sequence[str]  # names of such numbers in the last epoch
    again: Mapping[str, Sequence[Sequence[float | None]]]  # by name: epoch 1, and once more
    other_seed: Mapping[str, Sequence[float | None]]  # the same of epoch 1 under another seed
    again_error: str  # why there was no once more
    scores: Numbers  # the metric of each epoch, where a plateau is watched for
    losses_again: Sequence[Answer]  # of each epoch, told losses beside those of its predictions

    # Steps, gradients and weights.
    weights: Sequence[Answer]  # a `seen.Weights` each
    optimizers: int
    steps: int  # of optimizers
    steps_until: Sequence[int]  # at the end of each epoch; so are others that end in `until`
    hand_steps: int  # that no optimizer took
    hand_rates: Numbers  # of those that follow the gradient
    backwards: int
    prepared: bool  # other weights were trained before
    made_anew: bool  # an epoch stepped other weights than the one before
    maximized: int  # steps of an optimizer that climbs
    stale_gradients: int  # steps whose gradients were added to those of the step before
    never_cleared: int  # steps of an optimizer whose gradients began nowhere anew since its last
    cleared: int  # steps whose gradients had been cleared before
    discarded: int  # backward passes whose gradients were cleared before a step
    steps_without_gradient: int
    changed_late: int  # steps whose gradients were multiplied after they were used
    forgetful: int  # steps that begin without the memory that they leave
    factors: Numbers  # by which all weights were multiplied between two steps
    drawn_anew: Mapping[str, int]  # tensors that became others between two steps: how often
    put_back: Mapping[str, int]  # that became nearly what they were before the last step
    restarts: int  # how often all weights became what they were before the first step
    ratios: Numbers  # update over weights, of each step
    rates: Numbers
    betas: Numbers  # of an optimizer
    gradient_norms: Numbers
    decay: float  # greatest share of the weights that weight decay takes in a step
    plateaus: Sequence[tuple[str, float]]  # mode, and what ReduceLROnPlateau heard
    schedules: Sequence[Answer]  # a `helpers_seen.ScheduleSeen` each
    scaled: int  # losses that a gradient scaler scaled
    unscaled: int  # steps that it took
    loaded: int  # states of which some tensors found a place
    unloaded: int  # most tensors of a state of which none found one

    # What went into the model, and in which order.
    batches: Sequence[Answer]  # a `seen.Batch` each; none is of 0 dimensions
    evaluated: Sequence[Answer]  # the same of what no gradient came back through
    epochs: Sequence[int]  # batches at the end of each epoch
    rows_seen: Answer  # as `rows_seen.rows_seen` says
    between_batches: Sequence[float | None]  # share of the labels' spread, of each epoch
    carried: int  # steps that begin with the hidden state that the step before left
    followers_kept: float | None  # share of the rows that the same row follows in both epochs
    drawn: Answer | None  # weights of a sampler by class
    given_spread: float | None  # of the train rows
    first_layer: float | None  # spread of what reaches the first layer
    centred_batches: int  # batches of an epoch that have their own mean taken away
    tokens: Answer | None  # as given, and as an embedding is asked for them
    next_tokens: Answer | None  # targets ahead of tokens
    target_among_inputs: int | None
    # Of a trainer's own rows: rows of measures, their targets, and the same of those evaluated.
    pairs: Answer | None
    one_answer: bool  # all rows of every batch had the same outputs

    draws: bool  # classes are drawn, as a policy draws its actions

    # Losses.
    loss: Answer | None  # a `seen.LossCall`
    losses: Sequence[float | None]  # whose gradient was asked for
    losses_until: Sequence[int]
    evaluated_losses: Sequence[Mapping[str, Numbers]]  # of train rows, others, their sizes
    evaluated_means: Sequence[Mapping[str, float]]  # by a loss's name, per epoch
    targets: Answer | None  # of the losses, against the labels of their rows
    held_targets: Answer | None  # the same of the losses of evaluated rows
    target_counts: Sequence[int]  # per class
    never_taught: Sequence[int]  # outputs that no loss taught, and all; empty: none, or not known
    padding_taught: float | None  # share of padding's steps whose outputs a loss taught
    viewed: Sequence[int]  # the shape of which the outputs are a view, two axes swapped
    of_own_class: int  # rows of which the output of their own class alone was taught
    broadcast: Sequence[Sequence[int]]  # shapes that are subtracted, each against all others
    summed: int  # rows over which a loss by hand is summed
    over_rows: int  # softmaxes of the outputs over their rows
    logarithm_of: str  # operation of whose result the logarithm of a softmax is taken
    answer_dropped: int  # losses whose outputs come straight from a dropout
    divergence: str  # what kl_div was given that it does not take
    blurred: float  # greatest share of a class's pixels between a lower and a higher class
    maps_turned: Answer | None  # as `MapsTurned.told` says
    soft_targets: int  # divergences from fixed shares, as a teacher's

    # The model.
    passes: int  # of any module, without gradients
    dropped: float  # share that a dropout takes
    dead: Numbers  # of every ReLU layer, the share of units that no row woke
    relu_rows: int  # how many rows these were
    saturated: float  # greatest share of a tanh's or sigmoid's outputs at their ends, at first
    batch_norms: int
    still_norms: int  # calls of batch norm whose statistics never move
    averaged: int | None  # most values that batch norm averaged per channel
    unused_inputs: float  # share of the parts of an input that change no output
    linear_layers: int  # of a model whose outputs are a linear function of its inputs

    # Evaluation.
    noisy_evaluations: Sequence[str]  # dropout and batch norm as in training
    quiet_trainings: Sequence[str]  # and the reverse
    unsteady_evaluation: bool  # two evaluations of the same rows differ
    sampled: bool  # but for two outputs of one shape, as the mean and spread of what is drawn
    rows_mix: bool  # a row's output changes with the rows beside it
    changed_buffers: Sequence[str]
    followed: float | None  # share of the trained weights' way that evaluated ones have gone
