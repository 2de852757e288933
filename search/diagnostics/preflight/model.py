"""Checks of the model: output layer, first loss, weights, gradients, units, size (R1, R7, R11, R12,
R26).

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search.diagnostics.preflight.check import Check, Judge

Answer = Mapping[str, Any]
DEAD = (0.5, 0.99)  # share of ReLU units that no row wakes: a warning, a fault
ABOVE = {
    True: (2.0, 5.0),
    False: (4.0, 25.0),
}  # first loss over the expected one, for classes and for numbers
BELOW, NEAR = 0.3, 0.3  # of the expected first loss; how near to batch size times it a sum is
ENTROPIES = ("cross_entropy", "nll_loss")
NAMED = 4  # tensors named in a sentence
LEAST_BATCH = 8  # rows over which batch norm should average


def output_layer(seen: Answer, *, classification: bool, classes: int) -> Check:
    """Does the output layer fit the loss, and both the task (R1)?"""
    judge = Judge(name="output_layer", rule="R1")
    call = seen["loss"]
    if seen["broadcast"]:
        one, other = (tuple(shape) for shape in seen["broadcast"])
        told = f"outputs {one} and targets {other} are subtracted: each against all others"
        return judge.fail(told, "give the model's output the shape of the targets")
    if call is None or seen["optimizers"] > 1:
        return judge.unknown(
            "no loss of torch's was seen"
            if call is None
            else f"{seen['optimizers']} optimizers take turns"
        )
    name, outputs, targets = call["name"], tuple(call["outputs"]), tuple(call["targets"])
    numbers = {"loss": name, "outputs": outputs, "targets": targets}
    unfit = (
        _unfit_entropy(call, classes=classes)
        if name in ENTROPIES
        else _unfit_distance(call, classification=classification)
    )
    if unfit is not None:
        return judge.fail(*unfit, **numbers)
    return judge.passed(f"{name} of outputs {outputs} and targets {targets}", **numbers)


def _unfit_entropy(call: Answer, *, classes: int) -> tuple[str, str] | None:
    """Why outputs do not fit a loss of class numbers, and the remedy."""
    name, outputs = call["name"], call["outputs"]
    if name == "cross_entropy" and call["probabilities"]:
        told = "cross_entropy is given probabilities: softmax is applied twice"
        return told, "give it the logits: drop the softmax from the model"
    if name == "cross_entropy" and call["over_batch"]:
        told = "cross_entropy is given probabilities that sum to 1 over the batch"
        return f"{told}, not over the classes", "drop the softmax over dim=0 from the model"
    if name == "cross_entropy" and call["sigmoid"] and math.prod(outputs) > LEAST_BATCH:
        told = "cross_entropy is given numbers between 0 and 1, as a sigmoid leaves them"
        return told, "give it the logits: drop the sigmoid from the model"
    if classes and len(outputs) > 1 and outputs[1] != classes:
        told = f"{outputs[1]} outputs for {classes} classes"
        return told, "give the model an output per class (data.outputs)"
    if name == "nll_loss" and not call["log_probabilities"]:
        return "nll_loss is given no log-probabilities", "end the model with log_softmax"
    return None


def _unfit_distance(call: Answer, *, classification: bool) -> tuple[str, str] | None:
    """Why outputs do not fit a loss between numbers, and the remedy."""
    name, outputs, targets = call["name"], tuple(call["outputs"]), tuple(call["targets"])
    probabilities = call["within_unit"] and math.prod(outputs) > LEAST_BATCH
    if name == "binary_cross_entropy_with_logits" and probabilities:
        told = f"{name} is given numbers between 0 and 1: sigmoid is applied twice"
        return told, "give it the logits: drop the sigmoid from the model"
    if outputs != targets:
        told = f"{name} holds outputs {outputs} against targets {targets}: each against all others"
        return told, "give the model's output the shape of the targets"
    numbered = classification and call["classes"] and not name.startswith("binary")
    if numbered and math.prod(outputs[1:]) == 1:
        told = f"{name} measures distances between class numbers"
        return told, "use cross-entropy with an output per class (R50)"
    return None


def first_loss(seen: Answer, *, entropy: float | None, classes: int) -> Check:
    """Is the untrained model's loss what knowing nothing costs (R11)? `entropy`: of the class
    frequencies, in nats.

    Who does not know the frequencies pays the logarithm of the number of classes: that is no fault.
    """
    judge = Judge(name="first_loss", rule="R11")
    call, got = seen["loss"], seen["first_loss"]
    if call is None or seen["optimizers"] > 1:
        return judge.unknown(
            "no loss of torch's was seen"
            if call is None
            else f"{seen['optimizers']} optimizers take turns"
        )
    got = got if got is not None else call["value"]
    entropic = call["name"] in ENTROPIES
    guess = math.log(call["outputs"][1]) if entropic and len(call["outputs"]) > 1 else None
    expected = (entropy or guess) if entropic else call["constant"]
    if not expected:
        return judge.unknown("the loss of a constant prediction is not known")
    kind = "the entropy of the classes" if entropic else "that of a constant prediction"
    shown = "not finite" if got is None else f"{got:.3g}"
    sentence = f"{shown} before training, {expected:.3g} would be {kind}"
    warned, failed = ABOVE[entropic]
    most = max(expected, math.log(classes)) if entropic and classes else expected
    remedy = (
        "start from smaller weights (model.gain, or the last layer's), or check the scale of "
        "inputs and targets"
    )
    if got is None:
        remedy = "look for log(0), divisions and roots in the loss, and at the data (R20)"
        return judge.fail(sentence, remedy, expected=expected)
    if (
        call["outputs"]
        and abs(got / (call["outputs"][0] * expected) - 1) < NEAR
        and call["outputs"][0] > 2
    ):
        remedy = (
            "the loss is summed over the batch: say reduction='mean', or the rate depends on the "
            "batch size"
        )
        return judge.fail(sentence, remedy, got=got, expected=expected)
    if got > failed * most:
        return judge.fail(sentence, remedy, got=got, expected=expected)
    if got > warned * most:
        return judge.warn(sentence, remedy, got=got, expected=expected)
    if got < BELOW * expected:
        remedy = (
            "an untrained model cannot know so much: does the input hold the label, is the loss "
            "scaled?"
        )
        return judge.warn(sentence, remedy, got=got, expected=expected)
    return judge.passed(sentence, got=got, expected=expected)


def initial_weights(seen: Answer) -> Check:
    """Hidden units that start alike stay alike (R19, R42).

    A zero last layer, or one that soon differs, is legitimate.
    """
    judge = Judge(name="initial_weights", rule="R19")
    if not seen["weights"]:
        return judge.unknown("no parameters were seen")
    alike = [
        weights["name"] for weights in seen["weights"] if weights["alike"] and weights["trainable"]
    ]
    if alike:
        told = f"all units of {_some(alike)} bear the same weights, also after training"
        return judge.fail(told, "draw the initial weights at random (model.init)", alike=alike)
    return judge.passed(f"the units of all {len(seen['weights'])} tensors differ")


def gradients(seen: Answer) -> Check:
    """Does every parameter get a finite gradient that is not zero, and an optimizer (R12)?"""
    judge = Judge(name="gradients", rule="R12")
    if not seen["weights"] or not seen["steps"]:
        return judge.unknown("no step of a torch optimizer was seen")
    norms = {weights["name"]: weights["largest"] for weights in seen["weights"]}
    frozen = [weights["name"] for weights in seen["weights"] if not weights["trainable"]]
    idle = [
        weights["name"]
        for weights in seen["weights"]
        if weights["trainable"] and not weights["optimized"]
    ]
    mine = [weights for weights in seen["weights"] if weights["trainable"] and weights["optimized"]]
    silent = [weights["name"] for weights in mine if not weights["gradients"]]
    broken = [weights["name"] for weights in mine if not weights["finite"]]
    numbers = {
        "largest": norms,
        "frozen": frozen,
        "no_optimizer": idle,
        "no_gradient": silent,
        "not_finite": broken,
    }
    for names, told, remedy in (
        (idle, "are in no optimizer", "give the optimizer model.parameters()"),
        (
            silent,
            "got no gradient in any step",
            "is the loss detached from them, or a layer unused or dead?",
        ),
    ):
        if names:
            return judge.fail(f"{_some(names)} {told}", remedy, **numbers)
    if broken and all(loss is not None for loss in seen["losses"]):
        told, remedy = (
            "got a gradient that is not finite",
            "see divisions, roots and logarithms (R20)",
        )
        return judge.fail(f"{_some(broken)} {told}", remedy, **numbers)
    if frozen and _is_backbone(seen["weights"]):
        return judge.note(f"{_some(frozen)} are frozen, as if trained before", "", **numbers)
    if frozen:
        return judge.warn(
            f"{_some(frozen)} are frozen", "set requires_grad, unless this is meant", **numbers
        )
    return judge.passed(f"all {len(norms)} tensors get gradients", **numbers)


def _is_backbone(weights: Sequence[Mapping[str, Any]]) -> bool:
    """Whether whole parts of the model are frozen, and were kept from the optimizer."""
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for one in weights:
        parts.setdefault(one["name"].partition(".")[0], []).append(one)
    frozen = [part for part in parts.values() if not any(one["trainable"] for one in part)]
    whole = sum(map(len, frozen)) == sum(not one["trainable"] for one in weights)
    kept = not any(one["optimized"] for part in frozen for one in part)
    return whole and kept and 0 < len(frozen) < len(parts)


def dead_units(seen: Answer) -> Check:
    """ReLU units that no row wakes (R26)."""
    judge = Judge(name="dead_units", rule="R26")
    if not seen["dead"] or seen["relu_rows"] < 64:
        return judge.unknown("no ReLU was seen" if not seen["dead"] else "too few rows were seen")
    worst = max(seen["dead"])
    sentence = (
        f"{worst:.0%} of the units of a ReLU layer are woken by no row; {len(seen['dead'])} "
        "layers were seen"
    )
    remedy = "smaller biases and rate, another initialisation, or leaky ReLU"
    if worst >= DEAD[1]:
        return judge.fail(sentence, remedy, dead=seen["dead"])
    return (
        judge.warn(sentence, remedy, dead=seen["dead"])
        if worst >= DEAD[0]
        else judge.passed(sentence, dead=seen["dead"])
    )


def batch_norm(seen: Answer, *, rows: int, batch: int | None) -> Check:
    """Batch norm needs a batch (R44).

    `rows`, `batch`: of the whole train set and of a step, None where that is not known.
    """
    judge = Judge(name="batch_norm", rule="R44")
    if not seen["batch_norms"]:
        return judge.passed("there is no batch norm")
    if seen["still_norms"]:
        told = "batch norm with momentum 0 never moves its running statistics"
        return judge.fail(f"{told}, which evaluation uses", "take its default momentum, 0.1")
    size = batch or max(
        (given["shape"][0] for given in seen["batches"] if given["shape"]), default=0
    )
    lonely = (
        seen["averaged"] is None or seen["averaged"] <= size
    )  # no positions to average over besides
    if size == 1 and lonely:
        return judge.fail(
            "batch norm with one row per batch has nothing to average", "raise trainer.batch_size"
        )
    if batch and rows % batch == 1 and lonely:
        told = f"of {rows} rows, the last batch has one, on which batch norm raises or is blind"
        return judge.fail(told, f"say trainer.batch_size={batch + 1}, or drop a row")
    if 0 < size < LEAST_BATCH:
        return judge.warn(
            f"batch norm averages over {size} rows only", "raise trainer.batch_size to 8 or more"
        )
    return judge.passed(f"batch norm over {size} rows")


def capacity(seen: Answer, *, rows: int) -> Check:
    """Parameters against samples: a note, for networks with more parameters than rows do generalise
    (R7).
    """
    judge = Judge(name="capacity", rule="R7")
    if not seen["weights"]:
        return judge.unknown("no parameters were seen")
    parameters = sum(
        math.prod(weights["shape"]) for weights in seen["weights"] if weights["trainable"]
    )
    return judge.note(
        f"{parameters} parameters, {rows} train rows: {parameters / rows:.2g} per row",
        parameters=parameters,
    )


def own_gradients(answer: Answer) -> Check:
    """Backward passes of the model's own, by finite differences (R12)."""
    judge = Judge(name="own_gradients", rule="R12")
    if "told" not in answer:
        return judge.unknown(answer.get("cause", "preflight.gradcheck=true was not said"))
    if answer["told"]:
        return judge.fail(answer["told"], "mend the backward pass of your own module or function")
    return judge.passed(f"finite differences agree for {answer['tensors']} tensors")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (
        f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    )
