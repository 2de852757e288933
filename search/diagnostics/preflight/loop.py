"""Checks of the loop: batches, their order, evaluations, the same seed twice (R10, R13, R45).

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math

from search.config.counted import count
from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.class_words import drawn
from search.diagnostics.preflight.inputs import otherwise_given
from search.diagnostics.preflight.maps import apart
from trainers.probes.told import Watched

# Share of the train rows below which an epoch leaves most out.
FEW = 0.6
# What more rows than were given may come from: of validation, or of a split of the trainer's.
MIXED = "do validation rows take part in the training, or does the trainer take rows of its own?"
MORE = 1.05  # an epoch trains on more rows than it has if it sees so many times their number
NEVER = 1e-6  # relative move below which evaluated weights did not follow the trained ones
WHOLE = 0.9  # share of the validation rows that those evaluated are at least
ONE_BATCH = 0.3  # share of the train rows that no epoch of a single step leaves out
FOLLOWED = 0.1  # share of the rows before the same row, below which a state goes on in others
SORTED = 0.5  # share of the labels' spread between batches, above which labels come sorted
LEFT = 0.9  # share from which a dropout leaves so little that the share to keep may be meant


def trains(seen: Watched, *, flood: float = 0.0) -> Check:
    """Does it train at all, and are its losses numbers (R10)? `flood`: below which it climbs."""
    judge = Judge(name="trains", rule="R10")
    if seen["error"]:
        return judge.fail(f"it raised {seen['error']}", "mend it; probes.log holds what it printed")
    if seen["cut"] and not seen["epochs_told"]:
        return judge.unknown(
            f"{seen['cut']}, after {count(seen['steps'], 'step')} and before its first epoch"
        )
    if not seen["epochs_told"] and not seen["steps"]:
        return judge.fail("it ended without an epoch", "yield once per epoch")
    if seen["unread"]:
        text, _, remedy = seen["unread"].rpartition("; ")
        return judge.fail(f"every trial would end so: {text or seen['unread']}", remedy)
    if seen["not_finite"]:
        unseen = not seen["steps"] and not seen["hand_steps"]  # so no other check tells the cause
        text = f"{', '.join(seen['not_finite'])} not finite"
        return judge.fail(text, "see learning_rate and the data (R20)", unseen=unseen)
    if flood > (seen["first_loss"] or flood):
        text = f"trainer.flood, {flood:.3g}, lies above the first loss, {seen['first_loss']:.3g}"
        return judge.fail(f"{text}: it climbs", "choose a loss to keep, such as 0.05 (R47)")
    several = seen["backwards"] > 1 and seen["epochs_told"] > 1
    if several and not seen["steps"] and not seen["hand_steps"]:
        text = f"{seen['backwards']} backward passes, and no weight changed between two of them"
        return judge.fail(text, "call step() of the optimizer after each backward pass")
    still = len(seen["val_loss"]) > 1 and len(set(seen["val_loss"])) == 1
    if not seen["steps"] and not seen["hand_steps"] and still and seen["val_loss"][0] is not None:
        text = f"{seen['epochs_told']} epochs without a step of a torch optimizer, and one val_loss"
        remedy = "does an epoch have a batch at all (drop_last, a batch larger than the rows)?"
        return (judge.fail if seen["passes"] else judge.warn)(text, remedy)
    ends = seen["steps_until"]
    if len(ends) > 1 and 0 < ends[0] == ends[1]:
        text = f"the first epoch took {count(ends[0], 'step')}, the second none"
        return judge.fail(text, "is an iterator used up, that is to be made in every epoch?")
    pairs = [
        (one, two)
        for one, two in zip(seen["train_loss"], seen["val_loss"], strict=False)
        if one is not None
    ]
    if len(pairs) > 1 and all(one == two for one, two in pairs):
        return judge.warn(
            "val_loss is train_loss, to the last digit", "give the loss of the validation rows"
        )
    steps, epochs = count(seen["steps"], "step"), count(seen["epochs_told"], "epoch")
    sentence = f"{steps if seen['steps'] else epochs} on {seen['rows']} rows"
    return judge.passed(f"{sentence} without an error")


def batches(seen: Watched, *, fraction: float = 1.0) -> Check:
    """Shapes, finite numbers, and rows that differ (R10).

    `fraction`: of the train rows, which the config says are used.
    """
    judge = Judge(name="batches", rule="R10")
    given = seen["batches"]
    if not given:
        return judge.unknown("no batch was seen going into a torch module")
    sizes = [batch["shape"][0] for batch in given]
    sentence = (
        f"{len(given)} batches of {min(sizes)} to {max(sizes)} rows of shape "
        f"{tuple(given[0]['shape'][1:])}"
    )
    remedy = "see how rows are picked for a batch"
    if not all(batch["finite"] for batch in given):
        return judge.fail(
            f"{sentence}; some hold NaN or inf", "clean the inputs where they are read"
        )
    if max(sizes) > 1 and all(batch["alike"] for batch in given if batch["shape"][0] > 1):
        return judge.fail(f"{sentence}; all rows of a batch are the same", remedy)
    end = seen["epochs"][0] if seen["epochs"] else 0  # of the first epoch
    first = {batch["content"]: batch["shape"][0] for batch in given[:end]}
    whole = min(sizes) >= seen["rows"]  # a closure such as L-BFGS's sees all rows again and again
    if len(first) == 1 and end > 3 and not whole:
        return judge.fail(f"{sentence}; every one is the same", remedy)
    taught = sum(first.values())
    both = seen["rows"] + seen["val_rows"]
    if MORE * seen["rows"] < taught <= MORE * both and seen["optimizers"] == 1:
        text = f"an epoch took {taught} rows, of {seen['rows']} that were given"
        if seen["loss"] is not None and seen["loss"]["targets"][:1] == [seen["rows"]]:
            return judge.note(f"{text}, and its loss is of these alone, as with graphs")
        return judge.warn(text, MIXED, taught=taught)
    if told := drawn(seen["drawn"]) or apart(seen["maps_turned"]):
        return judge.warn(*told)
    if check := _left_out(seen, judge, fraction=fraction) or otherwise_given(seen, judge, given):
        return check
    return judge.passed(sentence, different=len({batch["content"] for batch in given}))


def _left_out(seen: Watched, judge: Judge, *, fraction: float) -> Check | None:
    """Rows that no epoch takes, if most are left out."""
    rows = seen["rows_seen"]
    ends, covered = seen["steps_until"], rows["covered"]
    if rows["taught"] != 1:  # rows of its own: is each of those that it was given one of them?
        if not WHOLE * seen["val_rows"] <= rows["held"] <= seen["val_rows"]:
            return None
        covered = [number / seen["rows"] for number in rows["distinct"]]
    most = max(covered, default=1.0)
    if len(ends) > 1 and ends[0] == 1 and ends[1] == 2 and most < ONE_BATCH * fraction:
        text = f"an epoch takes one step, on {most:.0%} of the train rows"
        return judge.warn(text, "is the loop left in its first round (return, break)?")
    again = rows["again"] or 0.0  # unknown where one epoch was seen
    if most < FEW * fraction and again > (1 + most) / 2:  # far beyond chance
        text = f"every epoch takes the same {most:.0%} of the train rows"
        return judge.warn(text, "draw from all rows, and anew in every epoch")
    return None


def shuffling(seen: Watched, *, ordered: bool) -> Check:
    """Do two epochs bring other batches (R13)? `ordered`: whether labels lie sorted in the rows."""
    judge = Judge(name="shuffling", rule="R13")
    ends = seen["epochs"]
    if 2 * seen["carried"] > max(seen["steps"], 1):
        return _in_order(judge, seen)
    apart = [share for share in seen["between_batches"] if share is not None]
    if apart and min(apart) > SORTED:
        text = f"{min(apart):.0%} of the labels' spread lies between batches: they come sorted"
        return judge.warn(text, "draw the rows of a batch from all labels", between=apart)
    if len(ends) < 2 or not seen["batches"]:
        return judge.unknown("fewer than two epochs were seen")
    one, two = (
        [batch["content"] for batch in seen["batches"][a:b]]
        for a, b in ((0, ends[0]), (ends[0], ends[1]))
    )
    if len(set(one)) < 2:
        return judge.passed("one batch is the whole epoch: its order does not matter")
    same = sum(a == b for a, b in zip(one, two, strict=False)) / len(one)
    sentence = f"{same:.0%} of the batches come again in the next epoch, at the same place"
    remedy = "shuffle the rows anew in every epoch, such as by DataLoader(shuffle=True)"
    if same > 0.9 and ordered:
        return judge.fail(f"{sentence}, and the labels are sorted", remedy, same=same)
    return (
        judge.warn(sentence, remedy, same=same) if same > 0.9 else judge.passed(sentence, same=same)
    )


def _in_order(judge: Judge, seen: Watched) -> Check:
    """Of steps that go on with a hidden state: does it go on in what stands next?"""
    text, kept = "steps begin with the hidden state of the step before", seen["followers_kept"]
    if kept is not None and kept < FOLLOWED:
        text = f"{text}, but the same row follows {kept:.0%} of the rows in both epochs"
        remedy = "keep the rows in order, or begin every step without a state"
        return judge.warn(text, remedy, kept=kept)
    return judge.passed(f"{text}: rows come in order on purpose")


def evaluation_mode(seen: Watched, *, steps: float = math.inf) -> Check:
    """Dropout and batch statistics: on while training, off in evaluation (R45). Are the weights
    that are evaluated those that are trained, or near them? `steps`: of the whole training.
    """
    judge = Judge(name="evaluation_mode", rule="R45")
    if not seen["batches"]:
        return judge.unknown("no batch was seen going into a torch module")
    if seen["noisy_evaluations"]:
        text = f"{' and '.join(seen['noisy_evaluations'])} active in evaluation"
        return judge.fail(
            text, "call model.eval() first, and give functional dropout training=self.training"
        )
    if seen["unsteady_evaluation"]:
        text = "two evaluations of the same rows differ"
        if seen["sampled"]:
            text = f"{text}, but not the mean and spread of what the model draws"
            return judge.note(text, "val_loss shakes with it: a mean of several draws shakes less")
        return judge.fail(
            text, "switch off in evaluation whatever draws by chance: if self.training"
        )
    if seen["changed_buffers"]:
        text = f"an evaluation changes {', '.join(seen['changed_buffers'][:4])}"
        return judge.fail(text, "change buffers in training only: if self.training")
    if seen["rows_mix"] and not _rows_come_second(seen):
        text = "a row's output changes with the rows beside it, in evaluation"
        return judge.warn(
            text, "is the batch axis taken for another one (batch_first, dim=0), or is it meant?"
        )
    if seen["quiet_trainings"] and any(not weights["trainable"] for weights in seen["weights"]):
        return judge.note(
            f"{' and '.join(seen['quiet_trainings'])} off in training, beside frozen parameters"
        )
    if seen["quiet_trainings"]:
        return judge.warn(
            f"{' and '.join(seen['quiet_trainings'])} off in training",
            "call model.train() before every epoch",
        )
    if seen["dropped"] >= LEFT:
        text = f"a dropout takes away {seen['dropped']:.0%} of what it is given"
        return judge.warn(text, "torch's p is the share to drop, not the one to keep")
    return _of_a_copy(seen, judge, steps=steps) or judge.passed(
        "evaluation is without dropout and batch statistics"
    )


def _rows_come_second(seen: Watched) -> bool:
    """Whether rows lie along the second axis, as where steps come first: tokens tell it, or the
    first one is as long in every batch, and the second one is not.
    """
    if (tokens := seen["next_tokens"]) and tokens["steps_first"]:
        return True
    shapes = [batch["shape"] for batch in (*seen["batches"], *seen["evaluated"])]
    if min(map(len, shapes)) < 2:
        return False
    first, second = ({shape[axis] for shape in shapes} for axis in (0, 1))
    return len(first) == 1 < len(second)


def _of_a_copy(seen: Watched, judge: Judge, *, steps: float) -> Check | None:
    """An evaluation of other weights, such as an average, that do not follow those trained.

    An average over so many steps has gone half of the share of its steps in these.
    """
    share = seen["followed"]
    if share is None or not seen["steps"]:
        return None
    trained = f"while those that are trained took {seen['steps']} steps"
    if share < NEVER:
        text = f"the weights that are evaluated stayed as they were, {trained}"
        return judge.warn(text, "evaluate the model that is trained, or update its average")
    lag = seen["steps"] / (2 * share)
    if lag <= steps:
        return None
    text = f"the weights that are evaluated went {share:.2g} of the way, {trained}"
    remedy = f"lower the average's decay: it reaches over some {lag:.2g} of {steps:.2g} steps"
    return judge.fail(text, remedy)


def repeatable(seen: Watched, *, exact: bool, metric: str) -> Check:
    """Does one seed give one curve (P5)? `exact`: to the last bit, else to a percent."""
    judge = Judge(name="repeatable", rule="P5")
    pairs = {name: pair for name, pair in seen["again"].items() if all(pair)}
    pairs = {name: pairs[name] for name in ("train_loss", "val_loss", metric) if name in pairs}
    if not pairs:
        return judge.unknown(
            seen["again_error"] or "the first epoch reported neither a loss nor the metric"
        )
    near = 0.0 if exact else 1e-2
    apart = [
        f"{name} {_shown(one)} and {_shown(two)}"
        for name, ((one,), (two,)) in pairs.items()
        if one != two and (one is None or two is None or abs(one - two) > near * abs(one))
    ]
    if apart:
        remedy = (
            "seed everything from the trial's seed: weights, order, dropout, augmentation; say "
            "seed=1 where the code takes 0 for no seed, as `if seed:` does"
        )
        if not exact:
            remedy += "; on a GPU also set torch.backends.cudnn.deterministic = True"
        return judge.warn(f"one seed gave {', '.join(apart)} in two first epochs", remedy)
    if all(pair[0] == seen["other_seed"].get(name) for name, pair in pairs.items()):
        text = f"another seed gave the same {', '.join(pairs)}: it is not used, or nothing is drawn"
        return judge.note(text, "hand the seed on; where nothing is drawn, say seeds=1")
    return judge.passed(f"one seed gave the same {', '.join(pairs)} twice")


def _shown(number: float | None) -> str:
    return "not finite" if number is None else f"{number:.9g}"
