"""What is measured of one training: levels, trends, turns, noise (R16–R27). Never judges."""

import math
from functools import cached_property

import numpy as np

from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.scale import scale_of
from search.diagnostics.verdicts.trend import (
    TIE,
    Array,
    Direction,
    Trend,
    median,
    noise,
    smooth,
    trend,
)

LATE = 3  # the last third of the epochs says where a curve is going
LEAST = 5  # epochs, or the whole curve
END = 8  # the last eighth of the epochs, three at least, says where a curve stands
SHORT = 6  # epochs up to which a loss that falls was only cut off, and single ones count
BAD = 0.15  # train above this level has not learned, where the loss's scale is known
UNSURE = 0.4  # the same where only the first epoch gives the scale
LOSES = 0.25  # share of a metric's gain that it may lose again
SETTLES = 0.03  # what a loss falls as its rate goes to nothing, which is no learning to go on with
SMALL = 0.01  # share of the scale that is no change


class Shape:
    """What is measured of curves that are finite, in shares of their scale."""

    def __init__(self, curves: Curves) -> None:
        self.curves, measure = curves, scale_of(curves)
        self.floor, self.chance = measure.floor, measure.chance
        self.anchored, self.scale = measure.anchored, measure.unit
        train, val = curves.train - self.floor, curves.val - self.floor
        start = int(curves.untrained and len(train) > 1)
        self.train, self.val = (series[start:] / self.scale for series in (train, val))
        self.first = float(train[0]) / self.scale
        learned = 1.0 if self.chance else None
        self.val_first = float(val[0]) / self.scale if curves.untrained else learned
        began = train[0] if curves.began is None else curves.began - self.floor
        self.began = float(began) / self.scale
        self.count = len(self.train)

    @property
    def bad(self) -> float:
        """Train's level at rest that is not learned; a first epoch alone says less of it."""
        return BAD if self.anchored else UNSURE

    @cached_property
    def annealed(self) -> bool:
        """Whether the rate has come down to almost nothing."""
        rates = self.curves.lr
        if rates is None or not np.isfinite(rates).all():
            return False
        usual = median(rates[: self.count // 2 + 1])  # single epochs at a higher one do not count
        return float(rates[-1]) < 0.1 * usual

    # Train

    @cached_property
    def late(self) -> Trend:
        """Where train is going."""
        return trend(self.train[self._late :])

    @cached_property
    def overall(self) -> Trend:
        """Where train has gone from its first epoch to its last."""
        return trend(self.train)

    @cached_property
    def train_goes(self) -> Direction:
        """Up, down, flat, by more than a hundredth of the scale, and than it shakes."""
        return self.late.direction(max(SMALL, 1.5 * self.jitter))

    @cached_property
    def falls(self) -> bool:
        """Whether train still falls; slowly counts where there is much left to learn and the rate
        is not at its end.
        """
        fall = -self.late.change
        if self.annealed and self.level > self.bad and fall < SETTLES:
            return False
        slowly = self.late.high < 0 and fall > max(SMALL / 3, 4 * self.jitter, 4 * self.shaking)
        return (self.train_goes == "down" and not self.rested) or (
            slowly and self.level > self.bad and not self.annealed
        )

    @property
    def rested(self) -> bool:
        """Whether a fall of the last third was over well before the end."""
        return self.tail_pace < 0.2 and 2 * self.jitter < self._tail_fall

    @property
    def tail_pace(self) -> float:
        """The fall of the last sixth over what the last third's pace would give; 0 where there are
        too few epochs to tell, or there is no fall.
        """
        fall = trend(self.train[-(self.count // 6) :]).change
        return abs(fall) / self._tail_fall if self._tail_fall > 0 else 0.0

    @cached_property
    def level(self) -> float:
        """Where train stands at the end."""
        return median(self.train[-self._end :])

    @cached_property
    def lowest(self) -> float:
        """The lowest that train was, single epochs aside."""
        return float(self._calm(self.train).min())

    @cached_property
    def formless(self) -> bool:
        """Whether losses that have no floor of their own go nowhere at all."""
        return self.floor < 0 and self.overall.low <= 0 <= self.overall.high

    @cached_property
    def jitter(self) -> float:
        """How much train shakes from epoch to epoch, in its second half."""
        return noise(self.train[self.count // 2 :])

    @cached_property
    def shaking(self) -> float:
        """How much train shakes from epoch to epoch, over all."""
        return noise(self.train)

    @cached_property
    def usual(self) -> float:
        """Where train mostly was in its second half."""
        return median(self.train[self.count // 2 :])

    @cached_property
    def kept_pace(self) -> float:
        """How fast train falls late, as a share of how fast it fell on the whole."""
        late = max(self.count - 1 - self._late, 1) / max(self.count - 1, 1)
        return self.late.change / (late * (self.overall.change or np.inf))

    @cached_property
    def creeps(self) -> bool:
        """Whether train falls, beyond chance, late too, however little that is."""
        fall = self.overall
        falls = fall.high < 0 and self.late.high < 0 and self.kept_pace >= 0.4
        return falls and -fall.change > max(0.003 * self.first, 4 * self.shaking)

    # Validation

    @cached_property
    def val_level(self) -> float:
        """Where validation stands at the end."""
        return median(self.val[-self._end :])

    @cached_property
    def turn(self) -> int:
        """The epoch, counted from 0, at which validation was lowest first, single epochs aside."""
        calm = self._calm(self.val)
        return int((calm <= calm.min() + TIE).argmax())

    @property
    def turned(self) -> float:
        """That epoch's number."""
        return float(self.curves.epochs[len(self.curves.epochs) - self.count + self.turn])

    @cached_property
    def val_lowest(self) -> float:
        """The lowest that validation was, single epochs aside."""
        return float(self._calm(self.val)[self.turn])

    @cached_property
    def rise(self) -> float:
        """By how much validation stands above its lowest."""
        return self.val_level - self.val_lowest

    @cached_property
    def val_late(self) -> Trend:
        """Where validation is going."""
        return trend(self.val[self._late :])

    @cached_property
    def val_goes(self) -> Direction:
        """Where validation is going: over its last third, and up too where it has risen since its
        lowest beyond its noise.
        """
        since = self.val[self.turn :]
        if self.count <= SHORT:
            return (
                "up"
                if self.rise > max(5 * SMALL, 0.15 * self.val_lowest)
                else self.val_late.direction(SMALL)
            )
        enough = max(2 * SMALL, 0.04 * self.val_lowest, 3 * noise(since))
        if len(since) >= LEAST and self.rise > enough and trend(since).direction(SMALL) == "up":
            return "up"
        late = self.val_late.direction(max(SMALL, 0.03 * abs(self.val_level)))
        return "flat" if late == "up" and self.rise <= enough else late

    @cached_property
    def gap(self) -> float:
        """How far validation stands above train."""
        return self.val_level - self.level

    @property
    def metric_learned(self) -> float | None:
        """The share of the way from what a guess scores to a perfect score (1, or 0 for errors)
        that the metric ever made; a guess is the untrained model's, or a share's by chance.
        """
        metric, untrained = self.curves.metric, self.curves.untrained
        is_share = self.curves.classes > 1 and self.score is not None
        if metric is None or not np.isfinite(metric).all() or not (untrained or is_share):
            return None
        scores, guess = metric * self.curves.sign, math.exp(-self.scale) if is_share else -math.inf
        guess = max(guess, float(scores[0])) if untrained else guess
        whole = (1.0 if self.curves.sign > 0 else 0.0) - guess
        return (float(scores.max()) - guess) / whole if whole > 0 else None

    @cached_property
    def metric_gain(self) -> float:
        """How much better the metric is at the end than where validation's loss was lowest, in its
        own noise; 0 if unknown, or where it has lost again a good share of what it gained.
        """
        if (metric := self.curves.metric) is None:
            return 0.0
        known = metric[len(metric) - self.count :] * self.curves.sign
        if self.count < LEAST or not np.isfinite(known).all():
            return 0.0
        end, then = median(known[-self._end :]), known[max(self.turn - 1, 0) : self.turn + 2]
        shakes = max(noise(known), SMALL / 2 * float(np.ptp(known)), 1e-12)
        gain, lost = end - median(then), float(self._calm(known)[self.turn :].max()) - end
        return gain / shakes if lost < max(2 * shakes, LOSES * (gain + lost)) else 0.0

    @property
    def score(self) -> float | None:
        """The metric's level at its end, where it is a share that is better when higher."""
        metric = self.last(self.curves.metric) if self.curves.sign > 0 else None
        return metric if metric is not None and 0 <= metric <= 1 else None

    # Words

    def loss(self, share: float) -> str:
        """A share of the scale as the loss that it is, in words."""
        return f"{share * self.scale + self.floor:.3g}"

    @property
    def sure(self) -> str:
        """How sure the model is of the classes it names, in words (R25); empty if unknown."""
        sure, classes = self.last(self.curves.confidence), self.curves.classes
        return (
            f"; it is {sure:.2f} sure of its answers, of {classes} classes"
            if sure is not None and classes > 1
            else ""
        )

    def by(self, share: float) -> str:
        """A difference in the loss's own unit."""
        return f"{share * self.scale:.2g}"

    @property
    def held(self) -> str:
        """Where validation stands, behind where train does; empty where there is none."""
        return f", validation at {self.loss(self.val_level)}" if self.curves.held_out else ""

    @property
    def stands(self) -> str:
        """Where train stands at the end, in the loss's own unit."""
        return self.loss(self.level)

    def last(self, series: Array | None) -> float | None:
        """A series' level at its end, if it is known."""
        known = None if series is None else series[np.isfinite(series)]
        return median(known[-self._end :]) if known is not None and len(known) else None

    def _calm(self, series: Array) -> Array:
        """Single epochs aside, where there are enough of them."""
        return smooth(series) if self.count > SHORT else series

    @property
    def _late(self) -> int:
        return max(min(self.count - LEAST, self.count - self.count // LATE), 0)

    @property
    def _tail_fall(self) -> float:
        """What the last sixth falls at the last third's pace; 0 where that is too few epochs."""
        tail = self.count // 6
        return -self.late.change * tail / (self.count - self._late) if tail >= LEAST - 1 else 0.0

    @property
    def _end(self) -> int:
        return max(3, self.count // END) if self.count > SHORT else 1
