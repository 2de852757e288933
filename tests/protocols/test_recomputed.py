"""Every interval of decisions.jsonl, computed again from the trials alone, by formulas of their own."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from drawn import plan_of
from kit import TINY, search
from scipy import integrate, optimize, special, stats
from simulated import VAL_ROWS, carried_out, tune_plan

from search.protocols.record import record_of
from search.results.findings import find
from search.results.summary.sweep import records
from search.stages import sweep
from search.stages.comparison import compare
from search.storage.trials import TrialRecord

LEVELS = {0.95: 0.0125, 0.9: 0.05}  # error of a look, by the confidence that is told


def critical_p(loads, level):
    """Of one comparison, so that all err with `level` together (Hasler and Hothorn 2008)."""
    if len(loads) == 1:
        return level
    common, loads = np.linspace(-8, 8, 4001), np.minimum(loads, 0.97)[:, None]
    density = stats.norm.pdf(common)

    def error(z):
        within = special.ndtr((z + loads * common) / np.sqrt(1 - loads**2)).prod(0)
        return 1 - integrate.simpson(density * within, x=common) - level

    return stats.norm.sf(optimize.brentq(error, 1.0, 5.0, xtol=1e-6))


def pairs_correlation(scores):
    """The lower 95 % limit of the mean correlation of two values' seeds (Fisher's z)."""
    several = [each for each in scores if len(each) > 1]
    common = min(map(len, several))
    noisy = [each for each in several if np.ptp(each[:common]) > 0]
    pairs = len(noisy) * (len(noisy) - 1)
    freedom = common - 1 - 2 / max(len(noisy) - 1, 1)
    if common < 3 or len(noisy) < 2 or freedom <= 0:
        return 0.0
    matrix = np.corrcoef([each[:common] for each in noisy])
    mean = min((matrix.sum() - len(noisy)) / pairs, 0.99)
    limit = math.tanh(math.atanh(mean) - 1.645 * math.sqrt(2 / (pairs * freedom)))
    return max(limit, 0.0)


OWN = 0.75  # of a look's level: what the sweeps' incumbent has for itself, and the leaders share


def intervals(scores, level, *, alone=None, least=0.0):
    """Of every value less the first, higher being better: None where too few seeds tell. `alone`:
    the place of the value that has the level for itself. `least`: deviation that is believed.
    """
    counts, means = [len(each) for each in scores], [np.mean(each) for each in scores]
    variances = [max(np.var(each, ddof=1), least**2) if len(each) > 1 else None for each in scores]
    rivals = [place for place in range(1, len(scores)) if counts[place] > 1]
    half = sorted(rivals, key=lambda place: -means[place])[: max((len(rivals) + 1) // 2, 2)]
    used, freedom = list(variances), [count - 1 for count in counts]
    if len(half) > 1:  # Smyth 2004: one degree of freedom from the better half
        prior = np.mean([variances[place] for place in half])
        for place in rivals:
            used[place] = (prior + freedom[place] * variances[place]) / counts[place]
            freedom[place] += 1
    correlation, own = pairs_correlation(scores), used[0] / counts[0]
    shares = {place: own / (own + used[place] / counts[place]) for place in rivals}
    others = [place for place in range(1, len(scores)) if place != alone]
    loads = [math.sqrt(shares.get(place, 0.5)) for place in others]
    critical, found = critical_p(loads, level), [None] * len(scores)
    for place in rivals:
        share, square = shares[place], used[place] / counts[place]
        shared = math.sqrt(used[0] * used[place]) / max(counts[0], counts[place])
        common = min(counts[0], counts[place])
        pair = np.corrcoef(scores[0][:common], scores[place][:common])[0, 1] if common > 3 else 0.0
        error = math.sqrt(own + square - 2 * (pair if pair < 0 else correlation) * shared)
        degrees = 1 / (share**2 / freedom[0] + (1 - share) ** 2 / freedom[place])
        if min(counts[0], counts[place]) < 3:
            degrees = min(freedom[0], freedom[place])
        width = stats.t.isf(level if place == alone else critical, degrees) * error
        found[place] = (means[place] - means[0] - width, means[place] - means[0] + width)
    return found


def check(evidence, *, sign=1):
    """All intervals of one decision, which has no seed that broke."""
    values = evidence["values"]
    assert not any(each["broken"] for each in values)
    scores = [[sign * score for score in each["scores"]] for each in values]
    level, own = LEVELS[evidence["confidence"]], evidence["own_level"]
    again = intervals(
        scores,
        level * (OWN if own else 1),
        alone=1 if own else None,
        least=evidence["least_deviation"],
    )
    for each, expected in zip(values, again, strict=True):
        assert (None in each["interval"]) == (expected is None)
        if expected is not None:
            low, high = sorted(sign * end for end in expected)
            near = 0.01 * (high - low)  # the program integrates by 24 nodes
            assert each["interval"] == [pytest.approx(end, abs=near) for end in (low, high)]
    return sum(expected is not None for expected in again)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("protocol.most_seeds=1",),
        ("protocol.most_seeds=1", "seeds=2"),
        ("seeds=5",),
        ("metric=log_loss",),
    ],
)
def test_the_intervals_of_a_sweep_are_told_by_its_trials(words):
    dice = np.random.default_rng(len(words))
    effect = {}

    def value(rate, seed):
        mean = effect.setdefault(rate, dice.normal(0.7, 0.02))
        return mean + 0.01 * dice.normal() + 0.01 * math.sin(seed)

    plan, rows = plan_of("lr_sweep", "space.optimizer.lr.points=5", *words), []
    while specs := sweep.wanted(plan, rows, resolution=1 / VAL_ROWS):
        for spec in specs:
            scored = value(spec.knobs[plan.knob.path], spec.seed)
            rows.append(TrialRecord(spec=spec, state="complete", value=scored, best_epoch=1))
    findings = find(plan, rows, val_rows=VAL_ROWS)
    (record,) = json.loads(json.dumps(records(findings)))
    trials = pd.DataFrame({"value": row.value, **row.spec.knobs} for row in findings.rows)
    trials["seed"] = [row.spec.seed for row in findings.rows]
    trials = trials.sort_values("seed")
    for each in record["evidence"]["values"]:
        mine = trials.value[trials["optimizer.lr"] == each["value"]]
        assert each["scores"] == mine.tolist()
    sign = -1 if findings.plan.metric.direction == "minimize" else 1
    assert check(record["evidence"], sign=sign) == len(record["evidence"]["values"]) - 1


def test_sweeps_joint_stage_and_confirmation_of_a_protocol_decide_by_the_same_numbers():
    dice = np.random.default_rng(4)

    def value_of(knobs, seed):
        return (
            0.8
            - 0.02 * abs(math.log10(knobs.get("optimizer.lr", 0.1) / 0.03))
            + dice.normal(0, 0.01)
        )

    history, _ = carried_out(tune_plan("n_trials=90"), value_of)
    compared = {
        step.request.stage: check(step.evidence)
        for step in history.steps
        if step.evidence and "confidence" in step.evidence
    }
    assert {"sweep", "confirm"} <= set(compared)
    assert min(compared.values()) > 0


def test_what_a_reader_needs_to_repeat_a_protocol_stands_in_its_steps():
    """Scores of whole rows, of which some values have no noise of their own; leaders, ranges, looks."""
    dice = np.random.default_rng(7)

    def value_of(knobs, seed):
        mean = 0.85 - 0.05 * abs(math.log10(knobs.get("optimizer.lr", 0.1) / 0.01))
        return round((mean + dice.normal(0, 0.005)) * 75) / 75

    plan = tune_plan("budget_trials=90", "space=[lr,dropout,width]")
    history, _ = carried_out(plan, value_of)
    lines = [record_of(step, following="", command="", budget={}) for step in history.steps]
    decided = [line for line in lines if line["evidence"] and not line["evidence"]["untested"]]
    assert {line["kind"] for line in decided} == {"sweep", "confirm"}
    for line in decided:
        evidence = line["evidence"]
        assert evidence["least_deviation"] == pytest.approx(0.5 / 75)
        assert check(evidence) > 0
        looks = evidence["looks"]
        for each in evidence["values"][1:]:
            seeds = len(each["scores"])
            is_better = each["p"] <= each["critical_p"] and seeds >= looks["fewest"]
            assert not (each["standing"] == "dropped" and seeds > looks["halved_after"])
            assert line["decision"] == "adopt" or not is_better
    joint, confirm = (
        next(line for line in lines if line["kind"] == kind) for kind in ("joint", "confirm")
    )
    told = [each["knobs"] for each in confirm["evidence"]["values"]]
    assert (
        told[1:] == [line for line in [joint["held"], *joint["leaders"]] if line][: len(told) - 1]
    )
    assert joint["searched"][0]["path"] == "optimizer.lr"


def test_two_searches_are_compared_by_the_same_numbers():
    dice = np.random.default_rng(3)
    one, other = dice.normal(0.8, 0.01, 6), dice.normal(0.82, 0.02, 6)
    compared = compare(one, other, resolution=1 / 250)
    _, ends = intervals([one, other], 0.025)
    assert (compared.low, compared.high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))


@pytest.mark.slow
def test_the_intervals_of_a_finished_search_are_told_by_trials_csv(tmp_path):
    words = ["name=s", "seeds=3", "trainer.epochs=3", "space.optimizer.lr.high=0.1"]
    search(*TINY, *words, cwd=tmp_path)
    folder = tmp_path / "results" / "s"
    (record,) = map(json.loads, (folder / "decisions.jsonl").read_text().splitlines())
    trials = pd.read_csv(folder / "trials.csv").sort_values("seed")
    for each in record["evidence"]["values"]:
        assert each["scores"] == trials.value[trials["optimizer.lr"] == each["value"]].tolist()
    assert check(record["evidence"]) > 2
