"""Lines of a text log: `epoch 3: loss=0.5 val_loss=0.6`, Keras' progress and the like.

A line tells numbers behind names. What it does not name is its epoch's and phase's: the last epoch
that was named, and the last word before a number that means train, validation or test.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import dropwhile
from statistics import median

from search.diagnostics.logs.commas import with_points_in_text
from search.diagnostics.logs.line import JOINED, ROUND, Line
from search.diagnostics.logs.losses import FEW
from search.diagnostics.logs.measures import ENTROPIES, ERRORS, is_loss
from search.diagnostics.logs.once import COUNTS, once
from search.diagnostics.logs.phases import SHARED, TRAIN, VAL

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
# Who writes a line, as `pkg.training.trainer - ` and `[train.py:31]`: no phase of what it tells.
WRITER = re.compile(r"\b[a-z_]\w*(?:\.[a-z_]\w*)+(?:(?=\]| - | \| )|:\d+\b)", re.I)
FORMS = [  # of frameworks; mostly a count without a word before it; and how they are read
    (re.compile(r"\b(\d+)epoch\b"), r"epoch \1"),  # ESPnet
    (re.compile(r"\btrain: (\d+)(?= *\[)", re.I), r"train epoch \1"),  # timm
    (re.compile(r"\bepoch\((\w+)\) *\[ *(\d+)\]", re.I), r"\1 epoch \2"),  # OpenMMLab
    (re.compile(r"\biter\((train)\) *\[ *(\d+)(?=/)", re.I), r"\1 iter \2"),
    (re.compile(r"\biter\((\w+)\) *\[[ \d/]+\]", re.I), r"\1"),  # of evaluation's own batches
    # Of boosting.
    (re.compile(r"^\[(\d+)\]\s+(?!\w+-loss)(?=[\w.]+(?:-|'s )[\w@]+: *[-\d.])"), rf"{ROUND} \1 "),
    (re.compile(r"^(\d+):\s+learn: (\S+)\s+test: "), rf"{ROUND} \1 train loss: \2 test loss: "),
    (re.compile(r"^ *(\d+): \S+, (\S+) avg loss,"), r"step \1 loss: \2,"),  # Darknet
    (re.compile(r"\bsaving dict for global step (\d+):", re.I), r"val step \1 "),  # TF's Estimator
    (re.compile(r"\bEp\. (\d+) : Up\. (\d+)"), r"epoch \1 step \2"),  # Marian
    (re.compile(r"(?:^|\] )\[(\d+)\] (?=\w+=)"), r" step \1 "),  # JAX's writers
    (re.compile(r"^\[ *0*(\d+) */ *\d+\](?= .*\bloss\b)", re.I), r"step \1 "),
    (re.compile(r"\b(epoch|iteration|batch) *\[ *(\d+)", re.I), r"\1 \2 "),
    (re.compile(r"s/epoch\b", re.I), "s per epoch"),
    (re.compile(r"\b(iteration \d+) \([^)]*\), (?=loss)", re.I), r"train \1 "),  # Caffe
    (re.compile(r"\bloss (\d+)(?:: *| +)(?=-?\d+\.)", re.I), r"step \1 loss "),  # its step first
    (  # of what stands behind, as `validation result at epoch 3, loss 0.5`
        re.compile(rf"^(?!.*\bbest\b)(.*?)({SET}[\w()@ ]*?) (?:at|after|for) ({COUNTED})", re.I),
        r"\1\3 \2",
    ),
    (re.compile(r"\) *@\[ *IoU=0\.50:0\.95 *(?:\| *area= *all[^\]]*)?\]"), ""),  # COCO's metric
    (re.compile(r"@\[[^\]]*\]"), ""),  # at which overlaps it measures the others
    (re.compile(r"\bvalidation_(\d)-"), r"set\1_"),  # which of its sets is train's, XGBoost hides
]
# A batch's number, and the average so far in brackets.
AVERAGED = re.compile(rf"({NUMBER}) *\( *(?=\d+\.)({NUMBER}) *\)", re.I)
NEAR = 3.0  # how far averages lie from their batches at most; a deviation in brackets lies farther
# A progress bar, and how far it has come.
BAR = re.compile(r"\s*(\d+)/\d+ |\s*step +(\d+)/\d+ \[|.*?(\d+)%\|")
BEST_ROUND = re.compile(r"\bbest iteration\b", re.I)  # is told once more in the line below
SETTING = re.compile(r"\s*\w+=\S+,$|.*\bNamespace\(")  # of a config printed in front of a training
OF_BATCHES = "Averaged stats:"  # told already, by the last batch
PHASES = dict.fromkeys(TRAIN, "train") | dict.fromkeys(("test", "testing"), "test")
PHASES |= dict.fromkeys((*VAL, "validate", "validating", "evaluation", "evaluating", "cv"), "val")
COUNTERS = dict.fromkeys(("iter", "iteration", "iterations", "steps"), "step") | {"ep": "epoch"}
FILLERS = {"average", "avg", "mean", "running", "end", "of", "set", "phase", "info", "epoch"}
FILLERS |= {"is", "was", "so", "far", "current", "with", "s", "value"}
BRIEF = 5  # words of a line that says what the lines below it are of
NEWS = {"saved", "saving", "save", "best", "warning", "loaded", "loading", "loader", "dataset"}
NEWS |= {"data", "size", "samples", "images", "loss", "file", "directory", "set"}
OVER = {"complete", "completed", "done", "end", "ended", "finished", "over"}
NOT_NOW = {"at", "best", "from", "last", "max", "num", "per", "total"}  # of another epoch
LOSSES = re.compile("|".join(("loss", "learn: ", "entropy", *ENTROPIES, *ERRORS)), re.I)
LEAST = 2  # lines that tell a loss, from which a text is a log


def is_text_log(text: str) -> bool:
    """Whether lines tell losses by name: in a table, the names stand in its first line alone."""
    named = (line for line in text.splitlines() if LOSSES.search(line))
    tell = (line for line in named if any(map(_is_loss, _numbers(line))))
    return sum(1 for _ in zip(range(LEAST), tell, strict=False)) == LEAST


def _is_loss(name: str) -> bool:
    """Also an error that is told of a set, as boosting does."""
    return is_loss(name) or name.partition("_")[2] in ERRORS


def text_lines(text: str) -> tuple[list[str], list[Line], dict[str, str]]:
    """The names that recur, in small letters with their phase in front, what each line tells, and
    how brackets were read.

    A line that names no epoch belongs to the last one that was named. `batch` counts lines where
    an epoch tells a loss several times; of validation, and of averages so far, the last counts.
    """
    text = with_points_in_text(text)
    averaged = _tells_averages(text)
    text = AVERAGED.sub(r"\2", text) if averaged else text
    lines: list[Line] = []
    at: dict[str, str] = {}
    own: set[str] = set()  # told by lines that name their epoch themselves
    for number, numbers in _headed(_lines_with_numbers(text)):
        at = _moved(at, numbers)
        own |= set(numbers) if "epoch" in numbers else set()
        names = set(numbers) if "epoch" in numbers else set(numbers) - own
        if names - set(COUNTS):
            cells = {name: cell for name, cell in numbers.items() if name in names}
            lines.append((number, {"batch": str(number)} | cells | at))
    lines = list(dropwhile(lambda line: not any(map(_is_loss, line[1])), lines))  # of settings
    steps = {cells["step"] for _, cells in lines if "step" in cells}
    setting = "step" if len(steps) == 1 and "epoch" not in at else ""  # as `iterations: 5000`
    # What counts nothing here.
    idle = setting or ("epoch" if len(steps) < LEAST and _within(lines) else "")
    lines = [(n, {k: v for k, v in cells.items() if k != idle}) for n, cells in lines]
    at = {name: number for name, number in at.items() if name != idle}
    axis = next((name for name in COUNTS if name in at), "batch")
    lines = once([line for line in lines if axis in line[1]], axis, averaged=averaged)
    often = Counter(name for _, cells in lines for name in cells)
    losses = Counter((cells[axis], name) for _, cells in lines for name in cells if is_loss(name))
    left_out = () if max(losses.values(), default=0) > 1 and axis == "epoch" else ("batch",)
    header = [name for name, times in often.items() if times > 1 and name not in left_out]
    kept = [(n, {k: v for k, v in cells.items() if k in header}) for n, cells in lines]
    brackets = {n: "brackets as averages so far" for n in header if averaged and is_loss(n)}
    return header, kept, brackets


def _within(lines: Sequence[Line]) -> bool:
    """Whether an epoch or two are told line by line, each with losses of train and validation."""
    losses = [[name for name in cells if is_loss(name)] for _, cells in lines]
    beside = sum(len({name.startswith("val_") for name in names}) > 1 for names in losses)
    return len({cells.get("epoch") for _, cells in lines}) < FEW <= beside


def _lines_with_numbers(text: str) -> list[Line]:
    """What each line tells; a progress bar that is drawn again and again is one line."""
    lines: list[Line] = []
    drawn, epoch, below, before = -1, "", "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line:
            continue
        retold = OF_BATCHES in line or (BEST_ROUND.search(before) and ROUND in _numbers(line))
        twice = line == before and "loss" in line.lower() and set(COUNTS) & set(_numbers(line))
        before = line
        if retold or twice or SETTING.match(line):
            continue
        bar = BAR.match(line)
        numbers = _numbers(line, below)
        if numbers.get("epoch", epoch) != epoch:  # what was told of the epoch before is over
            epoch, below = numbers["epoch"], ""
            numbers = _numbers(line, below)
        if set(numbers) <= set(COUNTS):
            below = _heading(line, below)
        far = int(bar[bar.lastindex or 0]) if bar else -1
        if bar and 0 <= drawn <= far and lines[-1][1].get("epoch") == numbers.get("epoch"):
            lines[-1] = (number, lines[-1][1] | numbers)
        elif numbers or bar:
            lines.append((number, numbers))
        drawn = far if line.strip() else drawn
    return lines


def _headed(lines: Sequence[Line]) -> list[Line]:
    """The same, each epoch's name in front of its lines, also where it stands below them; without
    what is told behind the last one then, of an epoch that is not over.
    """
    blocks: list[list[Line]] = [[]]
    for number, numbers in lines:
        if "epoch" in numbers and any(_is_loss(name) for name in numbers if name[:4] != "val_"):
            return list(lines)  # lines of train name their epochs themselves
        blocks[-1].append((number, numbers))
        if "epoch" in numbers:
            blocks.append([])
    names = [{name for _, numbers in block for name in numbers} - set(COUNTS) for block in blocks]
    losses = {name for name in names[0] if _is_loss(name)}
    closed = all(losses <= own for own in names[:-1]) and not losses <= names[-1]
    if not losses or not closed:
        return list(lines)
    return [line for block in blocks[:-1] for line in (*block[-1:], *block[:-1])]


def _heading(line: str, before: str) -> str:
    """The phase of the lines below a brief line that names one and measures nothing, as
    `Evaluating…`; else that of before. Of train it is empty, as names without a phase are train's.
    """
    words = _words(line)
    if not 0 < len(words) <= BRIEF or NEWS & set(words):
        return before
    if OVER & set(words):
        return ""
    phase = _phase(words, "")
    return before if not phase else "" if phase == "train" else phase


def _tells_averages(text: str) -> bool:
    """Whether a number in brackets is the average so far of the one before it."""
    pairs = ((abs(float(a)), abs(float(b))) for a, b in AVERAGED.findall(text))
    ratios = [average / own for own, average in pairs if own and average]
    return len(ratios) >= LEAST and 1 / NEAR < median(ratios) < NEAR


def _moved(at: Mapping[str, str], numbers: Mapping[str, str]) -> dict[str, str]:
    """The epoch and step that a line belongs to; a step counts within the epoch that is named."""
    begins = {name: numbers[name] for name in ("epoch", ROUND, "step") if name in numbers}
    return begins if "epoch" in begins else {**at, **begins}


def _numbers(line: str, phase: str = "") -> dict[str, str]:
    """What a line tells, by name; of `9806/10000`, behind what does not count, the share. `phase`:
    of what the line does not say.
    """
    numbers: dict[str, str] = {}
    retold: set[str] = set()  # of the best epoch, as `saved the best model, val accuracy: 0.9`
    end = 0
    line = WRITER.sub("", line)
    for form, told in FORMS:
        line = form.sub(told, line)
    for match in TOLD.finditer(line):
        words, mark, number, whole = match.groups()
        behind = line[: match.start()].rstrip()[-1:].isdigit()  # a number: `0.5 loss, 0.8 acc`
        if "," in mark and ("loss" not in words.lower() or behind):
            continue  # a comma joins a loss to its number, and mostly parts others
        if TIME.match(line, match.end()):
            end = match.end()
            continue  # what an epoch took, as `Cost: 667.9 sec`
        phase = _phase(_words(line[end : match.end(1)]), phase)
        name = _name(_words(words), phase)
        if name == "epoch" and "best" in _words(line[: match.start()]):
            continue  # as in `Best metric: 0.9 (epoch 4)`
        retold |= {name} if "best" in _words(line[end : match.start()]) else set()
        end = match.end()
        if whole and name not in COUNTS and float(whole):
            number = repr(float(number) / float(whole))
        numbers.setdefault(name, number)
    return numbers if "epoch" in numbers else {k: v for k, v in numbers.items() if k not in retold}


def _words(text: str) -> list[str]:
    """In small letters, `ValLoss` being two."""
    words = re.findall(r"[a-z][a-z0-9]*", text.lower().replace("@", ""))
    return [part for word in words for part in JOINED.get(word, word).split("_")]


def _phase(words: Sequence[str], before: str) -> str:
    """The last one that is named."""
    return next((PHASES[word] for word in reversed(words) if word in PHASES), before)


def _name(words: Sequence[str], phase: str) -> str:
    """A number's name, with its phase in front, but for what counts or belongs to both."""
    rest = [COUNTERS.get(word, word) for word in words if word not in PHASES]
    if rest and rest[-1] == "epoch" and not (NOT_NOW | {"loss"}) & set(rest):
        return "epoch"
    plain = "_".join(word for word in rest if word not in FILLERS)
    return plain if plain in (*COUNTS, *SHARED) else "_".join(filter(None, (phase, plain)))
