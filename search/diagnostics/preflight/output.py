"""Does the output layer of a model fit its loss, and both the task (R1)?

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math
from collections.abc import Sequence

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.class_words import (
    ENTROPIES,
    by_targets,
    left_out,
    merged,
    misled,
    resized,
)  # fmt: skip
from trainers.probes.told import Answer, Watched

LIKELIHOODS = ("binary", "poisson", "gaussian")  # how names of likelihoods begin
PIXELS = ("binary_cross_entropy", "binary_cross_entropy_with_logits")  # of a row's numbers
LEAST_BATCH = 8  # numbers from which a range says something
# Operations that end a model, as autograd names them, and what they leave of the real numbers.
POSITIVE = ("Relu", "ClampMin", "Clamp", "Softplus", "Exp", "Sigmoid", "Softmax", "Square", "Abs")
BOUNDED = ("Tanh", "Sigmoid", "Softmax", "Hardtanh")
BEYOND = 0.05  # share of the targets that a model may not be able to reach


def output_layer(
    seen: Watched, *, classification: bool, classes: int, counts: Sequence[int] = ()
) -> Check:
    """Does the output layer fit the loss, and both the task (R1)? `counts`: train rows by class."""
    judge = Judge(name="output_layer", rule="R1")
    call = seen["loss"]
    if seen["broadcast"]:
        one, other = (tuple(shape) for shape in seen["broadcast"])
        text = f"outputs {one} and targets {other} are subtracted: each against all others"
        return judge.fail(text, "give the model's output the shape of the targets")
    if told := _of_calls(seen):
        return (judge.warn if seen["answer_dropped"] else judge.fail)(*told)
    if viewed := seen["viewed"] or (call is not None and call["viewed"]):
        text = f"outputs {tuple(viewed)} are viewed with their axes in another order"
        return judge.fail(f"{text}: numbers change places", "transpose the axes instead")
    if call is not None and (fewer := merged(seen["targets"], call)):
        return judge.warn(fewer, "give the loss the labels as they are, or the model fewer outputs")
    if never := seen["never_taught"]:
        text = f"{never[0]} of {never[1]} outputs are never taught: the loss has no gradient for"
        return judge.warn(f"{text} them", "does the loss read only a part of the outputs?")
    if text := resized(seen):
        return judge.warn(text, "use mode='nearest', unless this class is a thin line between two")
    if call is None or seen["optimizers"] > 1:
        return judge.unknown(why_unknown(seen))
    name, outputs, targets = call["name"], tuple(call["outputs"]), tuple(call["targets"])
    numbers = {"loss": name, "outputs": outputs, "targets": targets}
    if name in ("cross_entropy", "binary_cross_entropy") and call["over_batch"]:
        text = f"{name} is given probabilities that sum to 1 over the batch, not over the classes"
        return judge.fail(text, "drop the softmax over dim=0 from the model", **numbers)
    unfit = (
        _unfit_entropy(call, classes=classes)
        if name in ENTROPIES
        else _unfit_distance(call, classification=classification)
    )
    if unfit is not None:
        return judge.fail(*unfit, **numbers)
    own = seen["targets"] is None and not counts  # the trainer loads its rows itself
    among = by_targets(call, seen["target_counts"]) if own else None
    if own and classification and _is_of_rows(call, seen):
        among = left_out(call) or among
    if fault := among or misled(call, seen["targets"], counts=counts):
        return judge.warn(*fault, **numbers)
    return judge.passed(f"{name} of outputs {outputs} and targets {targets}", **numbers)


def _is_of_rows(call: Answer, seen: Watched) -> bool:
    """Whether a loss has a label per row of a batch, none per step, which may be padding."""
    rows = {batch["shape"][0] for batch in seen["batches"]}
    return len(call["outputs"]) == 2 and call["outputs"][0] in rows


def why_unknown(seen: Watched) -> str:
    """Why what one loss says of a model is not known."""
    if seen["loss"] is None:
        return "no loss of torch's was seen"
    return f"{seen['optimizers']} optimizers take turns"


def _of_calls(seen: Watched) -> tuple[str, str] | None:
    """What a single call shows that cannot be meant, and the remedy; else None."""
    if seen["answer_dropped"]:
        text = "a dropout is applied to the outputs themselves, just before the loss"
        return text, "put the dropout before the last layer"
    if seen["divergence"]:
        remedy = "log_softmax of the outputs, and probabilities (or log_target=True)"
        return f"kl_div is given {seen['divergence']}", f"give it {remedy}"
    if end := seen["logarithm_of"]:
        text = f"the logarithm of a softmax is taken of what a {end} leaves"
        return text, "give the loss the outputs as they are"
    if rows := seen["of_own_class"]:
        text = f"of {rows} rows, only the output of the row's own class is ever taught, and to rise"
        return text, "let the loss lower the other outputs too, as cross-entropy does"
    if seen["over_rows"]:
        text = "a softmax of the outputs is taken over the rows of a batch, not over the classes"
        return text, "take it over the last axis: dim=-1"
    return None


def _unfit_entropy(call: Answer, *, classes: int) -> tuple[str, str] | None:
    """Why outputs do not fit a loss of class numbers, and the remedy."""
    name, outputs, end = call["name"], call["outputs"], call["end"]
    if name == "cross_entropy" and (call["probabilities"] or end == "Softmax"):
        times = "twice" if call["probabilities"] else "over another axis than the classes', too"
        text = f"cross_entropy is given probabilities: softmax is applied {times}"
        return text, "give it the logits: drop the softmax from the model"
    if several := call["told"].get("several"):
        text = f"{name} is given several classes of each of {several:.0%} of the rows: they compete"
        return text, "use binary_cross_entropy_with_logits, or shares that sum to 1"
    ended = {"Relu": "relu", "ClampMin": "clamp", "Clamp": "clamp", "Tanh": "tanh"}.get(end)
    if name == "cross_entropy" and ended:
        text = f"cross_entropy is given what a {ended} leaves, not all real numbers"
        return text, f"give it the logits: drop the {ended} from the end of the model"
    # Small logits may lie between 0 and 1 by chance: the range tells only where the end is not
    # known.
    within = not end and call["sigmoid"] and math.prod(outputs) > LEAST_BATCH
    if name == "cross_entropy" and (within or end == "Sigmoid"):
        text = "cross_entropy is given numbers between 0 and 1, as a sigmoid leaves them"
        return text, "give it the logits: drop the sigmoid from the model"
    if classes and len(outputs) > 1 and outputs[1] != classes and not call["partners"]:
        text = f"{outputs[1]} outputs for {classes} classes"
        return text, "give the model an output per class (data.outputs)"
    if name == "nll_loss" and not call["log_probabilities"]:
        return "nll_loss is given no log-probabilities", "end the model with log_softmax"
    return None


def _unfit_distance(call: Answer, *, classification: bool) -> tuple[str, str] | None:
    """Why outputs do not fit a loss between numbers, and the remedy."""
    name, end = call["name"], call["end"]
    outputs, targets = tuple(call["outputs"]), tuple(call["targets"])
    within = not end and call["within_unit"] and math.prod(outputs) > LEAST_BATCH
    if name == "binary_cross_entropy_with_logits" and (within or end == "Sigmoid"):
        text = f"{name} is given numbers between 0 and 1: sigmoid is applied twice"
        return text, "give it the logits: drop the sigmoid from the model"
    if name in PIXELS and (far := call["below"] + call["beyond"]):
        text = f"{name} is given targets of which {far:.0%} do not lie between 0 and 1"
        return text, "divide them by their greatest value, or take another loss"
    if outputs != targets:
        text = f"{name} holds outputs {outputs} against targets {targets}: each against all others"
        return text, "give the model's output the shape of the targets"
    if name.startswith("binary") and call["probabilities"] and not call["one_each"]:
        text = f"{name} of several labels is given probabilities that sum to 1: one label's at most"
        return text, "give every label a sigmoid of its own: drop the softmax"
    numbered = classification and call["classes"] and not name.startswith(LIKELIHOODS)
    if numbered and math.prod(outputs[1:]) == 1:
        text = f"{name} measures distances between class numbers"
        return text, "use cross-entropy with an output per class (R50)"
    if end in POSITIVE and call["logarithms"] and "Clamp" not in end:
        text = f"outputs end in {end.lower()}, and {name} takes them for logarithms"
        return f"{text}: no rate is below 1", "say log_input=False, or end with a linear layer"
    if end in POSITIVE and call["below"] > BEYOND:
        text = f"outputs end in {end.lower()} and are never negative, as {call['below']:.0%} of the"
        return f"{text} targets are", "end the model with a linear layer"
    if end in BOUNDED and call["beyond"] > BEYOND:
        text = f"outputs end in {end.lower()} and never leave −1 … 1, as {call['beyond']:.0%} of"
        return f"{text} the targets do", "end the model with a linear layer"
    return None
