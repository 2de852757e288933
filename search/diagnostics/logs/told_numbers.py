"""What numbers a line of text tells, by name: `epoch 3: loss=0.5 val_loss=0.6` and the like.

A line tells numbers behind names, of the last phase that was named before them.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from search.diagnostics.logs.line import JOINED, ROUND
from search.diagnostics.logs.measures import is_loss
from search.diagnostics.logs.once import COUNTS
from search.diagnostics.logs.phases import PHASES, SHARED

NUMBER = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+|(?:nan|inf)\b)"
WORD = r"(?<![a-z])[a-z](?:[\w@]|[-./](?=\w))*"
TOLD = re.compile(
    rf"({WORD}(?: {WORD})*?)(\s*[:=]\s*|\s+|, *)[\[(]? *(?:{NUMBER} *-> *)?({NUMBER})"
    rf"(?: */ *({NUMBER}))?",
    re.I,
)
TIME = re.compile(r"\s?(?:m?s|secs?|seconds?|min(?:ute)?s?|h(?:ou)?rs?)\b", re.I)  # behind a number
SET = r"\b(?:train|val|eval|test)[a-z]*\b"
COUNTED = r"(?:epoch|iteration|iter|step) *\d+"
# Who writes a line, as `pkg.training.trainer - `, `[train.py:31]` and `__main__:train:35 - `: no
# phase of what it tells.
WRITER = re.compile(
    r"\b[a-z_]\w*(?:\.[a-z_]\w*)+(?:(?=\]| - | \| )|:\d+\b)|\b[a-z_][\w.]*:[\w<>]+:\d+(?= - )", re.I
)
# A command, whose options hold numbers that nothing measured.
COMMAND = re.compile(r"\b(?:python[\d.]*|torchrun|accelerate launch)\s.*\s--[a-z]", re.I)
# Of what a count stands behind, as `validation result at epoch 3, loss 0.5`, `loss at step 3: 0.5`.
BEHIND = re.compile(
    rf"^(?!.*\bbest\b)(.*?)((?:{SET}|loss|cost)[\w()@ ]*?) (?:at|after|for|of) ({COUNTED})", re.I
)
BOOSTED = re.compile(r"^\[(\d+)\]\s+(?!\w+-loss)(?=[\w.]+(?:-|'s )[\w@]+: *[-\d.])")
STEPPED = re.compile(r"^\[ *0*(\d+) */ *\d+\](?= .*\bloss\b)", re.I)
PAIR = re.compile(r"^\[(\d+), *(\d+)\](?= *(?:\w+ )?loss\b)", re.I)  # as in PyTorch's tutorials
CATBOOST = re.compile(r"^(\d+):\s+learn: (\S+)\s+test: ")
# Of frameworks, mostly a count without a word before it: letters without which a line in small
# letters has no such form, the form, and how it is read.
FORMS = [
    ("epoch [", re.compile(r"\b\d+epoch \[.*"), ""),  # a bar of epochs that does not know how many
    # A bar of epochs; what stands for a step within an epoch.
    ("%|", re.compile(r"\bepochs?:? *\d+%\|[^|]*\| *(\d+)/\d+", re.I), r"epoch \1"),
    ("/", re.compile(r"\b(?:i|it|idx)(?: *[=:] *| +)(?=\d+/\d+\b)"), "step "),
    ("epoch", re.compile(r"\b(\d+)epoch\b"), r"epoch \1"),  # ESPnet
    ("train: ", re.compile(r"\btrain: (\d+)(?= *\[)", re.I), r"train epoch \1"),  # timm
    ("#", re.compile(r"\b(epoch|iteration|step) *#(?=\d)", re.I), r"\1 "),
    ("best]", re.compile(r"^\W*\[[a-z ]*best\] *(?=epoch\b)", re.I), ""),  # that this epoch is it
    # OpenMMLab, at last of evaluation's own batches.
    ("epoch(", re.compile(r"\bepoch\((\w+)\) *\[ *(\d+)\]", re.I), r"\1 epoch \2"),
    ("iter(", re.compile(r"\biter\((train)\) *\[ *(\d+)(?=/)", re.I), r"\1 iter \2"),
    ("iter(", re.compile(r"\biter\((\w+)\) *\[[ \d/]+\]", re.I), r"\1"),
    ("learn: ", CATBOOST, rf"{ROUND} \1 train loss: \2 test loss: "),
    ("avg loss,", re.compile(r"^ *(\d+): \S+, (\S+) avg loss,"), r"step \1 loss: \2,"),  # Darknet
    # TF's Estimator; Marian; JAX's writers.
    ("saving dict", re.compile(r"\bsaving dict for global step (\d+):", re.I), r"val step \1 "),
    ("ep. ", re.compile(r"\bEp\. (\d+) : Up\. (\d+)"), r"epoch \1 step \2"),
    ("]", re.compile(r"(?:^|\] )\[(\d+)\] (?=\w+=)"), r" step \1 "),
    ("[", re.compile(r"\b(epoch|iteration|batch) *\[ *(\d+)", re.I), r"\1 \2 "),
    ("s/epoch", re.compile(r"s/epoch\b", re.I), "s per epoch"),
    # Caffe; a loss with its step in front.
    ("iteration ", re.compile(r"\b(iteration \d+) \([^)]*\), (?=loss)", re.I), r"train \1 "),
    ("loss ", re.compile(r"\bloss (\d+)(?:: *| +)(?=-?\d+\.)", re.I), r"step \1 loss "),
    # A batch's loss with the mean so far behind it.
    ("mean", re.compile(r"\b(loss: *)[-+.\de]+, *(?:epoch )?mean: *(?=[-+.\d])", re.I), r"\1"),
    # COCO's metric, and at which overlaps it measures the others.
    ("@[", re.compile(r"\) *@\[ *IoU=0\.50:0\.95 *(?:\| *area= *all[^\]]*)?\]"), ""),
    ("@[", re.compile(r"@\[[^\]]*\]"), ""),
    # Which of its sets is train's, XGBoost hides.
    ("validation_", re.compile(r"\bvalidation_(\d)-"), r"set\1_"),
]
ALL_FORMS = [
    ("", WRITER, ""),
    ("[", BOOSTED, rf"{ROUND} \1 "),
    ("[", STEPPED, r"step \1 "),
    ("[", PAIR, r"epoch \1 step \2"),
    *FORMS,
    ("", BEHIND, r"\1\3 \2"),
]
OF_DIGITS = "@["  # in front of a form that holds digits of its own
DIGITS = re.compile(r"\d+")
KEPT, FORMS_KEPT = 4096, 512  # names, and lines but for their numbers, that are not read anew
LONGEST = 5000  # letters of a line that are read: more is a text that was learned from
MORE = re.compile(r" *, *[-+.\d]")  # of a list, behind its first number
SHARE = re.compile(r" ?%")  # behind a number that is in percent, which no loss is
OF_LINES = dict.fromkeys(("validate", "validating", "evaluation", "evaluating", "cv"), "val")
OF_LINES |= PHASES
COUNTERS = dict.fromkeys(("iter", "iteration", "iterations", "steps"), "step") | {"ep": "epoch"}
FILLERS = {"average", "avg", "mean", "running", "end", "of", "set", "phase", "info", "epoch"}
FILLERS |= {"is", "was", "so", "far", "current", "with", "s", "value"}
NOT_NOW = {"at", "best", "from", "last", "max", "num", "per", "total"}  # of another epoch


def numbers_of(line: str, phase: str = "") -> dict[str, str]:
    """What a line tells, by name; of `9806/10000`, behind what does not count, the share. `phase`:
    of what the line does not say.
    """
    numbers: dict[str, str] = {}
    retold: set[str] = set()  # of the best epoch, as `saved the best model, val accuracy: 0.9`
    end = 0
    line = line[:LONGEST]
    if is_command(line):
        return numbers
    of_best = "best" in line.lower()
    for form, told in _forms_of(DIGITS.sub("0", line)):
        line = form.sub(told, line)
    for match in TOLD.finditer(line):
        words, mark, number, whole = match.groups()
        if "," in mark and (
            "loss" not in words.lower()
            or line[: match.start()].rstrip()[-1:].isdigit()  # behind a number: `0.5 loss, 0.8 acc`
        ):
            continue  # a comma joins a loss to its number, and mostly parts others
        if TIME.match(line, match.end()):
            end = match.end()
            continue  # what an epoch took, as `Cost: 667.9 sec`
        phase = phase_of(words_of(line[end : match.end(1)]), phase)
        name = _name(words_of(words), phase)
        if is_loss(name):
            listed = line[: match.start(3)].rstrip()[-1:] in ("[", "(")
            if SHARE.match(line, match.end()) or (listed and MORE.match(line, match.end())):
                continue  # the first of several is not the epoch's
            last = words.split()[-1].lower()
            if mark.isspace() and number.isdigit() and COUNTERS.get(last, last) in COUNTS:
                name = COUNTERS.get(last, last)  # as in `loss and iteration 3 is 0.5`
        if of_best and name == "epoch" and "best" in words_of(line[: match.start()]):
            continue  # as in `Best metric: 0.9 (epoch 4)`
        if of_best and "best" in words_of(line[end : match.start()]):
            retold.add(name)
        end = match.end()
        if whole and name == "step":
            numbers["of"] = whole
        elif whole and name not in COUNTS and float(whole):
            number = repr(float(number) / float(whole))
        if name in COUNTS and number.isdigit():
            number = str(int(number))  # Keras tells epoch 1 as `Epoch 00001` too
        numbers.setdefault(name, number)
    return numbers if "epoch" in numbers else {k: v for k, v in numbers.items() if k not in retold}


@lru_cache(maxsize=FORMS_KEPT)
def _forms_of(plain: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The forms that a line has, told with a 0 for each of its numbers: most lines of a log differ
    in these alone.
    """
    found = []
    small = plain.lower()
    for letters, form, told in ALL_FORMS:
        read = form.sub(told, plain) if letters in small else plain
        if read != plain or (letters == OF_DIGITS and letters in small):
            found.append((form, told))
        plain = read
    return tuple(found)


def is_command(line: str) -> bool:
    """Whether a line is a command that starts a program, whose options are settings."""
    return " --" in line and COMMAND.search(line) is not None


@lru_cache(maxsize=KEPT)
def words_of(text: str) -> tuple[str, ...]:
    """In small letters, `ValLoss` being two."""
    words = re.findall(r"[a-z][a-z0-9]*", text.lower().replace("@", ""))
    return tuple(part for word in words for part in JOINED.get(word, word).split("_"))


def phase_of(words: Sequence[str], before: str) -> str:
    """The last one that is named."""
    return next((OF_LINES[word] for word in reversed(words) if word in OF_LINES), before)


@lru_cache(maxsize=KEPT)
def _name(words: tuple[str, ...], phase: str) -> str:
    """A number's name, with its phase in front, but for what counts or belongs to both."""
    rest = [COUNTERS.get(word, word) for word in words if word not in OF_LINES]
    if rest and rest[-1] == "epoch" and not (NOT_NOW | {"loss"}) & set(rest):
        return "epoch"
    plain = "_".join(word for word in rest if word not in FILLERS)
    return plain if plain in (*COUNTS, *SHARED) else "_".join(filter(None, (phase, plain)))
