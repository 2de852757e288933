"""Checks of the model: weights, gradients, units, batch norm, size (R7, R12, R19, R26).

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math
from collections.abc import Sequence

from search.config.counted import count, first_of
from search.diagnostics.preflight.check import Check, Judge
from trainers.probes.answers import OwnGradients
from trainers.probes.told import Answer, Watched

# Share of ReLU units that no row wakes: a warning, a fault. Half of them sleep by chance where rows
# hardly differ before the first steps, as behind a bottleneck, and they wake later.
DEAD = (0.75, 0.99)
NO_STEP = "no step of a torch optimizer was seen"
NAMED = 4  # tensors named in a sentence
ENDED = 0.8  # share of a squashed layer's outputs at their ends
HARDLY = 1e-9  # of the largest gradient of all tensors, which rounding alone does not leave
MOSTLY = 0.5  # share of the tokens above which one of them is most
UNREAD = 0.4  # share of the inputs that a model may leave out
LEAST_BATCH = 8  # rows over which batch norm should average


def initial_weights(seen: Watched) -> Check:
    """Hidden units that start alike stay alike (R19, R42).

    A zero last layer, or one that soon differs, is legitimate.
    """
    judge = Judge(name="initial_weights", rule="R19")
    if not seen["weights"]:
        return judge.unknown("no parameters were seen")
    alike = [
        weights["name"]
        for weights in seen["weights"]
        if weights["alike"] and weights["trainable"]
        if (weights["optimized"] or not seen["steps"]) and not _is_offset(weights)
    ]
    if alike:
        text = f"all units of {_some(alike)} have the same weights, also after training"
        return judge.fail(text, "draw the initial weights at random (model.init)", alike=alike)
    if seen["unloaded"]:
        text = f"a state of {seen['unloaded']} tensors was loaded, none of which the model has"
        remedy = "compare their names with model.state_dict(), and leave out strict=False"
        return judge.warn(text, remedy, unloaded=seen["unloaded"])
    matrices = [weights for weights in seen["weights"] if len(weights["shape"]) > 1]
    constant = [w["name"] for w in matrices[:-1] if w["constant"] and w["trainable"]]
    if constant:
        text = f"all weights of {_some(constant)} were one and the same number before training"
        return judge.warn(text, "draw the initial weights at random (model.init)", alike=constant)
    return judge.passed(f"the units of all {len(seen['weights'])} tensors differ")


def gradients(seen: Watched) -> Check:
    """Does every parameter get a finite gradient that is not zero, and an optimizer (R12)?"""
    judge = Judge(name="gradients", rule="R12")
    if not seen["weights"] or not seen["steps"]:
        return judge.unknown(NO_STEP)
    norms = {weights["name"]: weights["largest"] for weights in seen["weights"]}
    frozen = [w["name"] for w in seen["weights"] if not w["trainable"] and not w["moved"]]
    unstepped = [w for w in seen["weights"] if w["trainable"] and not w["optimized"]]
    idle = [weights["name"] for weights in unstepped if not weights["beside"]]
    beside = [weights["name"] for weights in unstepped if weights["beside"]]
    mine = [weights for weights in seen["weights"] if weights["trainable"] and weights["optimized"]]
    (silent, cancelled), broken = _silent(mine), [w["name"] for w in mine if not w["finite"]]
    numbers = {
        "largest": norms,
        "frozen": frozen,
        "no_optimizer": idle,
        "no_gradient": silent,
        "not_finite": broken,
    }
    if idle:
        text = f"{_some(idle)} are in no optimizer that steps"
        remedy = "give the optimizer model.parameters(), and call step() of every optimizer"
        return judge.fail(text, remedy, **numbers)
    if silent and all("weight_hh" in name for name in silent):
        text = (
            f"{_some(silent)} got no gradient: a recurrent layer is read before its state goes on"
        )
        remedy = "read the last step, and of a reversed direction the first: h_n holds both"
        return judge.warn(text, remedy, **numbers)
    if silent:
        text = f"{_some(silent)} got no gradient in any step, or hardly any"
        remedy = "is the loss detached from them, or a layer unused or dead?"
        return judge.fail(text, remedy, **numbers)
    if broken and all(loss is not None for loss in seen["losses"]):
        text = "got a gradient that is not finite"
        remedy = "see divisions, roots and logarithms (R20)"
        return judge.fail(f"{_some(broken)} {text}", remedy, **numbers)
    if cancelled:
        text = f"{_some(cancelled)} cancel out of the loss, as a bias does before a difference"
        return judge.note(text, "", **numbers)
    if beside:
        text = f"{_some(beside)}, of another module than the model, are in no optimizer that steps"
        remedy = "call step() of every optimizer; of a helper that is to stay, freeze the weights"
        return judge.warn(text, remedy, **numbers)
    if frozen and _is_backbone(seen["weights"], before=seen["prepared"] or seen["loaded"] > 0):
        return judge.note(f"{_some(frozen)} are frozen, as if trained before", "", **numbers)
    if frozen:
        return judge.warn(
            f"{_some(frozen)} are frozen", "set requires_grad, unless this is meant", **numbers
        )
    return judge.passed(f"all {len(norms)} tensors get gradients", **numbers)


def _silent(weights: Sequence[Answer]) -> tuple[list[str], list[str]]:
    """Names of the tensors that got no gradient, or hardly any beside the others; and of the biases
    among these whose layers' weights did get gradients.
    """
    finite = [each["largest"] for each in weights if each["finite"]]
    least = min(1e-15, HARDLY * max(finite, default=0.0))
    silent = [
        each["name"]
        for each in weights
        if not each["gradients"] or (each["finite"] and each["largest"] < least)
    ]
    biases = [name for name in silent if _is_idle_bias(name, weights, silent)]
    return [name for name in silent if name not in biases], biases


def _is_offset(weights: Answer) -> bool:
    """Whether it is zeros of one weight per unit that no gradient moved, as the biases of users
    before a difference.
    """
    single = math.prod(weights["shape"][1:]) == 1
    return single and not weights["constant"] and not weights["largest"]


def _is_idle_bias(name: str, weights: Sequence[Answer], silent: Sequence[str]) -> bool:
    """Whether it is the bias of a layer whose weights do get gradients."""
    if not name.endswith("bias"):
        return False
    partner = f"{name.removesuffix('bias')}weight"
    return partner not in silent and any(one["name"] == partner for one in weights)


def _is_backbone(weights: Sequence[Answer], *, before: bool) -> bool:
    """Whether whole parts of the model are frozen, and were kept from the optimizer, or weights
    were loaded or trained `before`: scripts hand the optimizer all of these.
    """
    parts: dict[str, list[Answer]] = {}
    for one in weights:
        parts.setdefault(one["name"].partition(".")[0], []).append(one)
    frozen = [part for part in parts.values() if not any(one["trainable"] for one in part)]
    whole = sum(map(len, frozen)) == sum(not one["trainable"] for one in weights)
    kept = before or not any(one["optimized"] for part in frozen for one in part)
    return whole and kept and 0 < len(frozen) < len(parts) and not _is_head(weights)


def _is_head(weights: Sequence[Answer]) -> bool:
    """Whether what is frozen lies behind what is trained, and is the smaller part of the model:
    what was trained before comes first, or is most of it.
    """
    sizes = [math.prod(one["shape"]) for one in weights]
    frozen = sum(size for one, size in zip(weights, sizes, strict=True) if not one["trainable"])
    return not weights[-1]["trainable"] and 2 * frozen < sum(sizes)


def dead_units(seen: Watched) -> Check:
    """ReLU units that no row wakes, and squashed ones that pass on no gradient (R26)."""
    judge = Judge(name="dead_units", rule="R26")
    if seen["saturated"] > ENDED:
        text = f"{seen['saturated']:.0%} of what a tanh or sigmoid layer puts out lies at its ends"
        return judge.warn(f"{text} before the first step", "draw smaller weights (model.gain)")
    if not seen["dead"] or seen["relu_rows"] < 64:
        return judge.unknown("no ReLU was seen" if not seen["dead"] else "too few rows were seen")
    worst = max(seen["dead"])
    sentence = (
        f"{worst:.0%} of the units of a ReLU layer are woken by no row; "
        f"{count(len(seen['dead']), 'layer')} seen"
    )
    remedy = "smaller biases and rate, another initialisation, or leaky ReLU"
    if worst >= DEAD[1]:
        return judge.fail(sentence, remedy, dead=seen["dead"])
    return (
        judge.warn(sentence, remedy, dead=seen["dead"])
        if worst >= DEAD[0]
        else judge.passed(sentence, dead=seen["dead"])
    )


def batch_norm(seen: Watched, *, rows: int, batch: int | None) -> Check:
    """Batch norm needs a batch (R44).

    `rows`, `batch`: of the whole train set and of a step, None where that is not known.
    """
    judge = Judge(name="batch_norm", rule="R44")
    if not seen["batch_norms"]:
        seems = seen["steps"] or seen["hand_steps"]
        return judge.passed("there is no batch norm") if seems else judge.unknown(NO_STEP)
    if seen["still_norms"]:
        text = "batch norm with a momentum below 0.001 hardly moves its running statistics"
        return judge.fail(f"{text}, which evaluation uses", "take its default momentum, 0.1")
    size = batch or max((given["shape"][0] for given in seen["batches"]), default=0)
    # No positions to average over besides.
    lonely = seen["averaged"] is None or seen["averaged"] <= size
    if size == 1 and lonely:
        return judge.fail(
            "batch norm with one row per batch has nothing to average", "raise trainer.batch_size"
        )
    if batch and rows % batch == 1 and lonely:
        text = f"of {rows} rows, the last batch has one, on which batch norm raises or is blind"
        return judge.fail(text, f"say trainer.batch_size={batch + 1}, or drop a row")
    if 0 < size < LEAST_BATCH:
        return judge.warn(
            f"batch norm averages over {size} rows only", "raise trainer.batch_size to 8 or more"
        )
    return judge.passed(f"batch norm over {size} rows")


def capacity(seen: Watched, *, rows: int) -> Check:
    """Does the model read its inputs, and can its layers tell more than one alone? Parameters
    against samples: a note, for networks with more parameters than rows do generalise (R7).
    """
    judge = Judge(name="capacity", rule="R7")
    if not seen["weights"]:
        return judge.unknown("no parameters were seen")
    parameters = sum(
        math.prod(weights["shape"]) for weights in seen["weights"] if weights["trainable"]
    )
    if seen["unused_inputs"] > UNREAD:
        text = f"{seen['unused_inputs']:.0%} of the inputs change no output, whatever they hold"
        return judge.warn(text, "see what the model takes of its inputs: a slice, or one step?")
    if seen["one_answer"] and not any(batch["alike"] for batch in seen["batches"]):
        text = "all rows of a batch get one and the same answer, although they differ"
        remedy = "is something taken over all rows, or does no input reach the outputs?"
        return judge.warn(text, remedy)
    if (tokens := seen["tokens"]) and _is_merged(tokens):
        text = f"{tokens['given']} kinds of tokens are given, and the model reads {tokens['read']}"
        remedy = "make the vocabulary of all train rows; see which words it lacks"
        share = f"{tokens['most_read']:.0%} of all are one of these"
        return judge.warn(f"{text}: {share}", remedy, **tokens)
    if seen["linear_layers"]:
        text = (
            f"{seen['linear_layers']} layers, and the outputs are a linear function of the inputs"
        )
        return judge.warn(text, "put an activation between them, or take one layer")
    return judge.note(
        f"{parameters} parameters, {rows} train rows: {parameters / rows:.2g} per row",
        parameters=parameters,
    )


def _is_merged(tokens: Answer) -> bool:
    """Whether most tokens become one, as words do that a vocabulary lacks."""
    fewer = bool(2 * tokens["read"] < tokens["given"])
    return fewer and tokens["most_read"] > MOSTLY > 2 * tokens["most_given"]


def own_gradients(answer: OwnGradients) -> Check:
    """Backward passes of the model's own, by finite differences (R12)."""
    judge = Judge(name="own_gradients", rule="R12")
    if "told" not in answer:
        return judge.unknown(answer.get("cause", "preflight.gradcheck=true was not said"))
    if answer["told"]:
        return judge.fail(answer["told"], "mend the backward pass of your own module or function")
    return judge.passed(f"finite differences agree for {answer['tensors']} tensors")


def _some(names: Sequence[str]) -> str:
    return first_of(names, NAMED)
