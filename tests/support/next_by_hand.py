"""Which stage comes next, told by a folder's files alone, as results/README.md says it.

Imports nothing of the program: `python next_by_hand.py results/NAME` counts the stages whose choice
the lines before them tell, those that they contradict, and those that they do not tell.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import yaml

SKIPS = {  # kinds of stages that each state of the incumbent leaves out
    "perfect": ("lr_range", "sweep", "joint"),
    "unlearned": ("joint", "ensemble"),
}
PENALTIES = (
    "model.dropout",
    "optimizer.weight_decay",
    "loss.label_smoothing",
    "trainer.l1",
    "trainer.flood",
    "trainer.max_norm",
)
RATES = ("lr", "learning_rate", "learning_rate_init", "base_lr", "eta", "eta0", "shrinkage")
OWN_PENALTIES = ("weight_decay", "l1", "dropout", "label_smoothing")  # parts of knobs of your own
LIMITS = ("clip", "epochs", "limit", "max", "min", "patience", "stop", "threshold", "tol")
MOVERS = (
    "trainer.batch_size",
    "optimizer",
    "model.width",
    "model.depth",
    "model.norm",
    "trainer.epochs",
)


def knobs_below(node, above=""):
    """The knobs below a node of `space`, each by its path."""
    if not isinstance(node, dict) or {"low", "choices"} & set(node):
        return {above: node}
    below = (knobs_below(each, f"{above}.{key}".strip(".")) for key, each in node.items())
    return {path: knob for some in below for path, knob in some.items()}


class ByHand:
    """The lines before a stage, and the config."""

    def __init__(self, config, before, places):
        self.protocol, self.before, self.config = config["protocol"], before, config
        self.places = places  # of each line in the protocol's list
        some = [knobs_below(node) for node in (config.get("space") or {}).values()]
        self.knobs = {path: knob for each in reversed(some) for path, knob in each.items()}
        self.parts = dict(word.rsplit("=", 1) for word in self.protocol.get("parts") or ())
        self.last = before[-1] if before else {"learned": True, "perfect": False, "held": {}}
        told = [line for line in before if line["verdicts"]]
        self.verdicts = list(told[-1]["verdicts"]) if told else []
        self.beside = told[-1]["beside"] if told else []
        done = [line for line in before if line["kind"] == "sweep"]
        self.sweeps = [line for line in done if line["decision"] != "skipped"]
        self.left_out = {line["path"] for line in done if line["decision"] == "skipped"}

    def rate(self):
        """The path of the learning rate."""
        named = [path for path in self.knobs if path.split(".")[-1] in RATES]
        own = next((path for path, part in self.parts.items() if part == "lr"), None)
        return own or ("optimizer.lr" if "optimizer.lr" in self.knobs else (named or [""])[0])

    def stock(self, path):
        """What the stock trainer calls a knob of your own that moves the rate; empty for others."""
        paths = {path.split(".")[-1]: path for path in MOVERS}
        return paths.get(self.parts.get(path), "")

    def tried(self, path):
        """Whether a knob was swept, and no change since moves its best value."""
        swept = [
            at
            for at, line in enumerate(self.before)
            if line in self.sweeps and line["path"] == path
        ]
        is_epochs = "trainer.epochs" in (path, self.stock(path))
        movers = MOVERS if path == self.rate() else (self.rate(),) if is_epochs else ()
        since = self.before[swept[-1] + 1 :] if swept else []
        paths = [line["path"] for line in since if line["decision"] == "adopt"]
        if swept and (self.before[swept[-1]]["evidence"] or {}).get("same_training"):
            is_limit = any(word in path for word in LIMITS)
            is_limit = is_limit or self.config["trainer"]["_target_"] == "trainers.stock.Stock"
            return not (is_limit and self.before[swept[-1]]["held"] != self.last["held"])
        moved = any(path in movers or self.stock(path) in movers for path in paths)
        return bool(swept) and not moved

    def value(self, path):
        """A key of the incumbent."""
        node = self.config
        for key in path.split("."):
            node = node.get(key) if isinstance(node, dict) else None
        return self.last["held"].get(path, node)

    def penalties(self):
        """Those that are on, and may be off or weaker: no trial leaves a range that you name."""
        own = {path: self.knobs[path] for path in self.protocol.get("own_ranges") or ()}
        lows = {path: knob.get("low", 0) for path, knob in own.items()}
        named = [path for path in self.knobs if self.parts.get(path) in OWN_PENALTIES]
        on = [path for path in dict.fromkeys([*named, *PENALTIES]) if self.value(path)]
        return [path for path in on if self.value(path) > lows.get(path, 0)]

    def off_again(self, seeds, left):
        """Whether penalties that went off untested are tried once more, right after the rate."""
        before = [line for line in self.before if line["kind"] == "regularisers_off"]
        is_rate = self.last["path"] == self.rate() and self.last["kind"] == "sweep"
        is_first = self.sweeps == [self.last] and len(before) == 1
        trains = self.last["learned"] and any(score is not None for score in self.last["scores"])
        if not (is_rate and is_first and trains):
            return False
        untested = before[0]["decision"] == "none" or (before[0]["evidence"] or {}).get(
            "off_for_now"
        )
        return untested and (left is None or left >= seeds)

    def most_epochs(self):
        """The most that a knob of the search allows; 0 without any."""
        knob, several = self.knobs.get("trainer.epochs", {}), 4 * self.value("trainer.epochs")
        choices = [each for each in knob.get("choices", ()) if each <= several]
        return max(choices, default=knob.get("high", 0))

    def end(self, order):
        """Why no sweep follows, whatever might be turned; None where one may."""
        until, idle = self.protocol["until"], 0
        for line, place in reversed(list(zip(self.before, self.places, strict=True))):
            if line in self.sweeps:
                listed = "sweep" in self.protocol["stages"][place]
                if line["decision"] == "adopt" or listed:
                    break
                idle += not (line["evidence"] or {}).get("same_training")
        if until and self.sweeps and self.verdicts and self.verdicts[0] not in until:
            return "until"
        if self.sweeps and not self.last["learned"] and not until:
            return "unlearned"
        if self.protocol["idle"] is not None and idle >= self.protocol["idle"]:
            return "idle"
        return "perfect" if order == "verdict" and self.last["perfect"] else None

    def sound(self, each):
        """Whether the reason of a candidate, or that it has none, agrees with the files; None where
        only the program knows (what the set-up lacks).
        """
        knob, why = each["knob"], each["passed"]
        is_off = not isinstance(self.value(knob), int | float) or self.value(knob) <= 0
        facts = {
            "needs a hand": each["turn"] == "check",
            "no knob of this search": knob not in self.knobs,
            "it is off": is_off,
            "its sweep was left out before": knob in self.left_out,
            "patience ended the trainings": any(line["out_of_patience"] for line in self.before),
        }
        if not why:
            return knob in self.knobs and not self.tried(knob) and knob not in self.left_out
        return self.tried(knob) if why.startswith("tried in") else facts.get(why)

    def swept_next(self, line, order):
        """The path of the next sweep by a line's candidates; None: the sweeps end; False: they
        contradict the files.
        """
        considered = line["considered"]
        if (
            order == "verdict"
            and self.tried(self.rate()) is False
            and self.rate() in [swept["path"] for swept in self.sweeps]
        ):
            return self.rate()
        if order == "verdict":
            names = [each["verdict"] for each in considered if each["verdict"]]
            order_told = [*self.verdicts, *self.beside]
            order_told.sort(key=lambda name: name != "rate_fell_early")
            places = [order_told.index(name) if name in order_told else -1 for name in names]
            if places != sorted(places) or any(self.sound(each) is False for each in considered):
                return False
        free = [each["knob"] for each in considered if not each["passed"]]
        return free[0] if free else None

    def told(self, line, entry):
        """The kind, the path and whether it is left out, of the stage of an entry of the list."""
        kind, argument = next(iter(entry.items())) if isinstance(entry, dict) else (entry, "")
        path = line["path"] if kind in ("sweep", "longer") else ""
        free = [each["knob"] for each in line["considered"] if not each["passed"]]
        if kind == "sweeps":
            short = line["left"] is not None and line["left"] < line["needs"]
            if self.end(argument) or (short and line["kind"] == "sweeps"):
                return "sweeps", "", False
            path = self.swept_next(line, argument)
            if not path:
                return "sweeps" if path is None else "contradicted", "", False
            kind = "sweep"
        elif kind == "joint" and len(free) == 1 and line["kind"] == "sweep":
            kind, path = "sweep", "" if self.tried(free[0]) else free[0]
        return kind, path, self.skipped(kind, line)

    def skipped(self, kind, line):
        """Whether a stage of a kind is left out; None where the files do not tell."""
        if line["left"] is not None and line["needs"] > line["left"]:
            return True
        if self.last["perfect"] and kind in SKIPS["perfect"]:
            return True
        if not self.last["learned"] and kind in SKIPS["unlearned"]:
            return True
        if kind == "lr_range":
            return self.rate() not in self.knobs or "command" in self.config["trainer"]
        if kind == "sweep":
            return line["path"] not in self.knobs
        if kind == "ensemble":
            return self.config["trainer"].get("predict") is None
        if kind == "regularisers_off":
            return not self.penalties() and self.last["kind"] != "sweep"
        if kind == "longer":
            short = self.verdicts[:1] == ["too_short"]
            point = self.verdicts[:1] == ["cannot_tell"] and self.value("trainer.epochs") < 3
            most = min(4 * self.value("trainer.epochs"), self.most_epochs())
            return not (short or point) or most <= self.value("trainer.epochs")
        if kind == "joint":
            return sum(not each["passed"] for each in line["considered"]) < 2
        if kind == "confirm":
            joint = [each for each in self.before if each["kind"] == "joint"]
            led = [each for each in self.sweeps if each["held"] == self.last["held"]]
            found = any(each["leaders"] for each in [*joint, *led])
            return not self.last["held"] and not found
        return False


def repeated(lines, config):
    """The choice of each stage: its name, and `equal`, `different` or `not told`."""
    stages, places, found = config["protocol"]["stages"], [], []
    for at, line in enumerate(lines):
        hand, place, entry = ByHand(config, lines[:at], places), 0, stages[0]
        empty = False
        if at:
            before, place = lines[at - 1], places[-1]
            empty = before["kind"] == "joint" and before["trained"] and not before["leaders"]
            again = empty and line["kind"] == "joint"
            if hand.off_again(config["seeds"], line["left"]):
                entry = "regularisers_off"
            else:
                is_open = "sweeps" in stages[place] and before["kind"] != "sweeps"
                place += not is_open and not again
                entry, empty = stages[place], empty and not again
        kind, path, skipped = hand.told(line, entry)
        is_same = (kind, path) == (line["kind"], line["path"])
        outcome = "equal" if is_same and skipped == (line["decision"] == "skipped") else "different"
        found.append((line["stage"], "not told" if empty and outcome == "equal" else outcome))
        places.append(place)
    return found


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        rows = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
        choices = repeated(rows, yaml.safe_load((folder / "config.yaml").read_text()))
        print(folder.name, dict(Counter(outcome for _, outcome in choices)))
        print(
            *(f"  {name}: {outcome}" for name, outcome in choices if outcome != "equal"), sep="\n"
        )
