"""A protocol turns the knobs of a stranger's trainer: those that the command names, and no others."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from pages import staged_findings
from refusals import raises
from simulated import VAL_ROWS, begun, carried_out, dice_of, tune_plan

from search.config.compose_protocol import compose_protocol
from search.config.knob_parts import PARTS
from search.config.plan import read_plan
from search.diagnostics.verdicts.advice import ADVICE, CHECK
from search.diagnostics.verdicts.rules import Verdict
from search.protocols.joint_request import DEAD
from search.protocols.next_stage import next_stage
from search.protocols.opening import opening
from search.protocols.stage_requests import NO_RATE, OUT_OF_REACH
from search.protocols.step import Request, Step
from search.results.findings import find
from search.results.summary.advise import next_lines
from search.results.summary.tune import conclusion
from search.results.summary.verdicts import advice, ended_by_themselves, turnable
from search.stages.group import Group, change_nothing
from search.storage.trials import BY_ITSELF, FROM_ZERO, TrialRecord, TrialSpec
from trainers.mentions import unmentioned


def _keys(*words):
    config = compose_protocol(list(words), config_dir=None)
    return str(config.trainer._target_), "rows" in config.data, int(config.seeds)


def test_a_trainer_of_ones_own_reads_its_own_rows_unless_a_data_set_is_named():
    own, program = "trainer._target_=mine.train", "trainer=command"
    table = ["data=csv", "data.path=my.csv", "data.task=regression", "data.target=y"]
    assert _keys(own) == ("mine.train", True, 3)
    assert _keys(own, "seeds=2") == ("mine.train", True, 2)
    assert _keys(own, *table) == ("mine.train", False, 3)
    assert _keys(program, "trainer.command=[echo]") == ("trainers.command.train", True, 3)


TRAINER = ("trainer._target_=my_script.train", "data.rows=400", "budget_trials=120")
RATE, WIDTH = "knob.my.lr=log(1e-4,1)", "knob.my.width=choice(4,16,64)"


def seen(history):
    return [step.request.knob or step.request.stage for step in history.steps]


def score(*, of):
    """Accuracy that depends on some knobs alone, with a little noise per seed and setting."""

    def value(knobs, seed):
        noise = dice_of(seed, knobs).normal(0, 0.002)
        rate = abs(math.log10(float(knobs.get("my.lr", 0.01))) + 2) if "my.lr" in of else 0.0
        width = {4: 0.0, 16: 0.05, 64: 0.1}[knobs.get("my.width", 4)] if "my.width" in of else 0.0
        return 0.7 - 0.05 * rate + width + (noise if of else 0.001 * seed)

    return value


def test_a_trainer_of_ones_own_is_advised_only_what_it_reads():
    assert advice("converged", turnable={"my.lr"}) == []
    assert advice("still_learning", turnable={"my.lr", "trainer.epochs"}) == [
        "train for longer (trainer.epochs: raise, R27)"
    ]
    assert "compare train and validation" in advice("data_suspect", turnable={"my.lr"})[0]


def test_the_joint_stage_turns_untried_knobs_of_the_command_while_three_trials_pay_for_each():
    """A search begun before there was such a key asks for six, as for knobs that nobody names."""
    words = (*TRAINER, RATE, *(f"knob.my.k{place}=interval(0,1)" for place in range(5)))

    def turned(*more):
        # The sweeps' share of the budget goes to the rate, so that no sweep tries another knob.
        history, _ = carried_out(tune_plan(*words, "budget_trials=48", *more), score(of=("my.lr",)))
        request = next(s.request for s in history.steps if s.request.stage == "joint")
        left_out = [each.passed for each in request.considered if "pay for" in each.passed]
        return request.trials, len(request.knobs), left_out

    assert turned() == (20, 6, [])
    assert turned("protocol.trials_per_knob=6") == (20, 3, ["20 trials pay for 3 knobs"] * 3)


def test_knobs_of_one_word_are_all_that_is_turned_and_a_rate_by_name_is_the_rate():
    plan = tune_plan(*TRAINER, RATE, WIDTH)
    assert {name: knobs[0].path for name, knobs in plan.settings.spaces.items()} == {
        "lr": "my.lr",
        "width": "my.width",
    }
    alike = [f"knob.{path}=interval(0,1)" for path in ("a.b.c", "a_b.c", "c", "a_b_c")]
    spaces = compose_protocol([*TRAINER, *alike], config_dir=None).space
    assert [*spaces] == ["c", "a_b_c", "c_2", "a_b_c_2"]  # none takes another's name
    assert plan.settings.rate == "my.lr"
    assert (plan.config.my.lr, plan.config.my.width) == (0.01, 4)  # the middle, the first choice
    history, rows = carried_out(plan, score(of=("my.lr", "my.width")))
    left_out = ("regularisers_off", "longer")
    assert [stage for stage in seen(history) if stage not in left_out][:5] == [
        "preflight",
        "baseline",
        "lr_range",
        "lr",
        "width",
    ]
    assert history.held == {"my.width": 64}
    assert all(set(row.spec.knobs) <= {"my.lr", "my.width"} for row in rows)


def test_knobs_of_files_of_ones_own_are_turned_as_well(tmp_path):
    space = tmp_path / "space"
    space.mkdir()
    (space / "my_lr.yaml").write_text("my_lr: {low: 1e-4, high: 1.0, scale: log, points: 5}")
    (space / "my_width.yaml").write_text("my_width: {choices: [4, 16, 64]}")
    words = [*TRAINER, "space=[my_width,my_lr]", "+my_lr=0.01", "+my_width=4"]
    config = compose_protocol(words, config_dir=tmp_path)
    settings = read_plan(config, root=tmp_path).settings
    assert settings.rate == "my_lr"
    assert {"sweep: my_lr", "sweeps: verdict"} < set(map(str, settings.stages))


def test_without_a_learning_rate_its_stages_are_skipped_and_the_knob_is_swept():
    history, _ = carried_out(tune_plan(*TRAINER, "knob.my.width=choice(4,16,64)"), _by_width)
    assert [step.says for step in history.steps].count(NO_RATE) == 2  # the ramp and the sweep
    assert history.held == {"my.width": 64}


def test_a_program_whose_steps_no_ramp_reaches_has_no_range_test():
    words = ("trainer=command", "trainer.command=[train]", "data.rows=400", "budget_trials=120")
    history, _ = carried_out(tune_plan(*words, RATE, WIDTH), score(of=("my.lr",)))
    ramp = next(step for step in history.steps if step.request.stage == "lr_range")
    assert (ramp.decision, ramp.says) == ("skipped", OUT_OF_REACH)


def test_knobs_of_ones_own_that_the_sweeps_left_are_turned_by_the_joint_stage():
    general = "knob.model.dropout=interval(0,0.5)"  # advised where nothing is wrong
    own = (RATE, WIDTH, "knob.my.decay=log(1e-6,1e-1)")
    plan = tune_plan(*TRAINER[:2], "budget_trials=50", general, *own)
    history, _ = carried_out(plan, _by_width, lambda knobs: "lr_too_low")
    joint = next(step for step in history.steps if step.request.stage == "joint")
    swept = {step.request.path for step in history.sweeps}
    left = {"my.lr", "my.width", "my.decay"} - swept
    assert left
    assert left <= {knob.path for knob in joint.request.knobs}
    assert joint.trials


def _by_width(knobs, seed):
    return 0.7 + 0.001 * knobs.get("my.width", 4) + np.random.default_rng(seed).normal(0, 0.001)


@pytest.mark.parametrize(
    ("paths", "rate"),
    [
        (["optimizer.lr", "my.lr"], "optimizer.lr"),
        (["my.width", "head.learning_rate", "tail.lr"], "head.learning_rate"),
        (["my.width", "head_lr"], "head_lr"),
        (["min_lr", "head_lr"], "optimizer.lr"),  # which of the two is not known
        (["my.width", "sgd.eta0"], "sgd.eta0"),
        (["my.width", "boost.shrinkage"], "boost.shrinkage"),
        (["my.width", "SOLVER.BASE_LR"], "SOLVER.BASE_LR"),
        (["TRAIN.EPOCHS", "TRAIN.MAX_LR"], "TRAIN.MAX_LR"),
        (["my.width", "net.learningRate"], "net.learningRate"),
        (["my.width", "my.beta"], "optimizer.lr"),
        (["my.width"], "optimizer.lr"),
    ],
)
def test_which_knob_is_the_learning_rate(paths, rate):
    words = [f"knob.{path}=log(1e-4,1)" for path in paths]
    assert tune_plan(*TRAINER, *words).settings.rate == rate


def test_a_rate_of_another_name_is_what_protocol_rate_says():
    words = ["knob.my.alpha=log(1e-4,1)", WIDTH, "knob.my.kind=choice(a,b)"]
    settings = tune_plan(*TRAINER, *words, "protocol.rate=my.alpha").settings
    assert settings.rate == "my.alpha"
    assert [entry.argument for entry in settings.stages if entry.stage == "sweep"] == ["alpha"]
    for path in ("my.alhpa", "my.kind"):
        with raises("rate-is-no-knob", path, "my.alpha"):
            tune_plan(*TRAINER, *words, f"protocol.rate={path}")


@pytest.mark.parametrize(
    ("path", "domain", "part"),
    [
        ("my.wd", "log(1e-6,1e-1)", "optimizer.weight_decay"),
        ("net.hidden_dim", "choice(16,64)", "model.width"),
        ("net.numLayers", "int(interval(1,4))", "model.depth"),
        ("enc.attn_dropout", "interval(0,0.5)", "model.dropout"),
        ("my.dropout_2", "choice(true,false)", "model.dropout"),
        ("my.batch", "choice(32,64)", "trainer.batch_size"),
        *((f"my.{name}", "interval(0,0.5)", "model.dropout") for name in ("p_drop", "attn_pdrop")),
        *(
            (f"M.{name}", "interval(0,0.5)", "model.dropout")
            for name in ("FF_DROP_RATE", "hidden_dropout_prob")
        ),
        *((f"lm.{name}", "choice(100,200)", "model.width") for name in ("nhid", "emsize")),
        ("bpr.lamda", "log(1e-4,1)", "optimizer.weight_decay"),
        ("lm.nlayers", "choice(1,2)", "model.depth"),
        ("lm.bsz", "choice(20,40)", "trainer.batch_size"),
        ("my.max_grad_norm", "choice(null,5)", "trainer.clip"),
        ("my.act", "choice(relu,tanh)", "model.activation"),
        # What a name means is not enough: its values must be such ones.
        ("my.dropout", "interval(0,50)", "my.dropout"),
        ("my.batch", "choice(small,large)", "my.batch"),
        # Names of two meanings, or of something else that ends so.
        ("my.decay", "log(1e-6,1e-1)", "my.decay"),
        ("my.max_norm", "choice(1,5)", "my.max_norm"),
        ("my.keep_prob", "interval(0.5,1)", "my.keep_prob"),
        ("bn.bn_momentum", "interval(0,1)", "bn.bn_momentum"),
        ("my.freeze_epochs", "choice(1,5)", "my.freeze_epochs"),
        ("model.dropout", "interval(0,0.5)", "model.dropout"),
    ],
)
def test_which_part_a_knob_of_ones_own_plays_is_told_by_its_name_and_its_values(path, domain, part):
    assert tune_plan(*TRAINER, f"knob.{path}={domain}").settings.part(path) == part


def test_every_knob_that_a_verdict_turns_is_a_part_that_a_knob_of_ones_own_can_play():
    turned = [one.knob for each in ADVICE.values() for one in each if one.turn != CHECK]
    assert {*turned} <= {*PARTS.values()}
    assert len(PARTS) == len({*PARTS.values()})


DECAY = "knob.my.wd=log(1e-6,1e-1)"


@pytest.mark.parametrize(
    ("words", "swept"),
    [
        ((DECAY,), ["wd"]),  # overfitting calls for a penalty, and for none of the two others
        ((DECAY, "my.wd=0"), ["wd"]),
        (("knob.my.alpha=log(1e-6,1e-1)", "space.my.alpha.acts_as=weight_decay"), ["alpha"]),
        ((DECAY, "space.my.wd.acts_as=none"), ["c_clip", "kind"]),  # as the command names them
        (("knob.enc.drop=interval(0,0.5)", "knob.dec.dropout_p=interval(0,0.5)"), ["drop"]),
    ],
)
def test_a_verdict_turns_the_knob_of_ones_own_that_plays_the_part_of_its_remedy(words, swept):
    before = ("knob.my.c_clip=choice(1,5)", "knob.my.kind=choice(a,b)")
    plan = tune_plan(*TRAINER, *before, *words)
    history, _ = carried_out(plan, score(of=["my.kind"]), lambda knobs: "overfitting")
    found = [step for step in history.sweeps if step.request.path != plan.settings.rate]
    assert [step.request.knob for step in found][: len(swept)] == swept
    if swept[0] not in ("c_clip",):
        (told,) = [each for each in found[0].request.considered if not each.passed]
        assert (told.knob, told.verdict, told.turn) == (
            found[0].request.path,
            "overfitting",
            "raise",
        )


def test_a_size_of_ones_own_that_is_adopted_makes_the_rate_stale():
    def value(knobs, seed):
        rate = abs(math.log10(float(knobs.get("my.lr", 0.01))) + 2)
        wide = knobs.get("my.hidden_dim", 4) / 100
        return 0.5 + wide - 0.01 * rate + np.random.default_rng([seed]).normal(0, 0.001)

    plan = tune_plan(*TRAINER, RATE, "knob.my.hidden_dim=choice(4,16)")
    history, _ = carried_out(plan, value, lambda knobs: "underfitting")
    assert [step.request.knob for step in history.sweeps] == ["lr", "hidden_dim", "lr"]
    assert history.sweeps[-1].request.because.startswith("my.hidden_dim was changed")


def test_what_was_assumed_of_a_knob_is_told_and_stands_in_the_config():
    words = [*TRAINER, RATE, DECAY, "knob.my.alpha=log(1e-6,1e-1)", "knob.my.kind=choice(a,b)"]
    words += ["space.my.alpha.acts_as=l1"]
    plan = tune_plan(*words)
    assert plan.config.protocol.parts == ["my.lr=lr", "my.wd=weight_decay", "my.alpha=l1"]
    named = "by their names: my.lr as lr, my.wd as weight_decay; say space.PATH.acts_as=PART"
    told = opening(plan, plan.settings)
    assert "as you say: my.alpha as l1\n" in told
    assert "no verdict speaks of: my.kind, unless acts_as says" in told
    assert named in told
    assert "by their names" not in opening(tune_plan(), tune_plan().settings)


def test_a_rate_that_explodes_by_decades_is_no_answer_where_every_seed_of_others_is_better():
    def loss(knobs, seed):
        noise = dice_of(seed, knobs).normal()
        explodes = float(knobs.get("my.lr", 0.1)) > 0.03
        return math.exp(6 + 3 * noise) if explodes else 0.1 * noise - 3

    words = ["metric.name=nll", "metric.direction=minimize", "my.lr=0.1", "budget_trials=60"]
    findings = staged_findings(loss, TRAINER[0], TRAINER[1], RATE, WIDTH, *words)
    told = conclusion(findings)
    assert findings.steps[-1]["held"]["my.lr"] < 0.03
    assert findings.steps[-1]["decision"] in ("adopt", "done", "skipped")
    (why,) = [line for line in told if line.startswith("confirm: ")]
    assert "is better than the best of the baseline's 5, by more than 5 times the range" in why
    assert "overtuning" not in why  # by means of which noise of the baseline's is all
    (near,) = [line for line in told if line.endswith("(P3)")]
    assert "within the noise of its seeds or better" in near


@pytest.mark.parametrize("gain", [0.06, 0.0])
def test_what_flattered_the_incumbent_is_told_of_the_incumbent_alone(gain):
    """Its score on its own seeds says nothing of a leader that is confirmed in its place."""

    def value(knobs, seed):
        noise = dice_of(seed, knobs).normal(0, 0.002)
        rate = abs(math.log10(float(knobs.get("my.lr", 3e-4))) + 2)
        wide = gain * (knobs.get("my.width", 4) == 64)
        return 0.6 - 0.05 * rate + wide + 0.1 * (seed < 6) + noise  # the first seeds flatter all

    findings = staged_findings(value, *TRAINER[:2], RATE, WIDTH, "my.lr=3e-4", "budget_trials=50")
    *_, before, confirm = (step for step in findings.steps if step["kind"] != "ensemble")
    assert (confirm["kind"], confirm["decision"]) == ("confirm", "adopt")
    assert (confirm["held"] == before["held"]) == (gain == 0.0)
    assert ("on the seeds that chose it" in confirm["says"]) == (gain == 0.0)


def test_a_knob_that_changes_no_score_is_told_and_turned_no_further():
    history, _ = carried_out(tune_plan(*TRAINER, RATE, WIDTH, "+my.lr=1e-4"), score(of=()))
    sweeps = [step for step in history.steps if step.request.stage == "sweep"]
    assert [step.inert for step in sweeps] == [True, True]
    assert "the best" not in sweeps[0].says, "at the end of its range"
    assert (
        "every value of my.lr gave the same accuracy, seed by seed: nothing reads this knob, or its "
        "effect is too small for the metric to show"
    ) in sweeps[0].says
    joint = next(step for step in history.steps if step.request.stage == "joint")
    assert (
        joint.request.skip
        == "fewer than two knobs made a difference, or are named by the verdict and untried"
    )


@pytest.mark.slow
def test_a_knob_that_no_training_reads_is_told_by_its_curves_and_has_one_seed_a_value():
    """Also where the score does not tell: the losses do, of every epoch."""
    kind = "knob.my.kind=choice(a,b)"  # one pair of equal trainings is enough

    def curve(knobs, seed):
        return f"{knobs.get('my.lr')} {seed}"

    def coarse(knobs, seed):
        return f"{knobs} {seed}"

    def better_at_a_lower_rate(knobs, seed):
        return score(of=["my.lr"])({"my.lr": 0.1, **knobs}, seed)

    def sweeps(word, curve_of, *words):
        plan = tune_plan(*TRAINER, RATE, word, *words)
        history, _ = carried_out(plan, better_at_a_lower_rate, curve_of=curve_of)
        knob = word.partition("=")[0].rpartition(".")[2]
        return [step for step in history.sweeps if step.request.knob == knob]

    for word, values in ((WIDTH, "4, 16, 64"), (kind, "a, b")):
        for passes in ([], ["protocol=coordinate"]):  # nor in the second pass, which a gain brings
            (step,) = sweeps(word, curve, *passes)
            assert (step.trials, step.decision, step.inert) == (values.count(","), "keep", True)
            told = f"{values} of {step.request.path} gave the same training to the last digit"
            assert f"{told}, losses too: nothing reads this knob" in step.says
    limit = "knob.my.clip_norm=choice(4,16,64)"  # another seed may reach it
    read = tune_plan("space=[dropout]", "protocol=coordinate")  # as the stock trainer reads all
    shipped, _ = carried_out(read, score(of=()), curve_of=curve)
    for (step,), values in ((sweeps(limit, curve), 3), (shipped.sweeps, 5)):
        assert step.trials > values - 1
        assert step.says.endswith("losses too: no training reached what this knob sets")
    for each in sweeps(WIDTH, coarse):
        assert not each.evidence["same_training"]
        assert "same training" not in each.says


def test_knobs_that_no_training_reads_do_not_end_the_sweeps():
    dead = [f"knob.my.d{place}=choice(a,b)" for place in range(3)]  # as many as `protocol.idle`
    plan = tune_plan(*TRAINER, RATE, *dead, WIDTH, "space.my.width.acts_as=none")
    read = ("my.lr", "my.width")

    def curve(knobs, seed):
        return f"{[knobs.get(path) for path in read]} {seed}"

    history, _ = carried_out(plan, score(of=("my.width",)), curve_of=curve)
    assert [step.request.knob for step in history.sweeps] == ["lr", "d0", "d1", "d2", "width"]
    assert history.held == {"my.width": 64}
    unseen, _ = carried_out(plan, score(of=("my.width",)))  # by scores alone they may be read
    assert "width" not in [step.request.knob for step in unseen.sweeps]


def test_a_joint_stage_leaves_out_a_knob_whose_last_sweep_changed_nothing_and_says_so():
    def reached(knobs):  # a wide one learns all at once, whatever the rate is
        wide = knobs.get("my.width", 4) == 64
        return {
            path: knobs.get(path) for path in ("my.width", "my.lr") if path != "my.lr" or not wide
        }

    def value(knobs, seed):
        noise = np.random.default_rng([seed, knobs.get("my.width", 4)]).normal(0, 0.001)
        rate = 0.0 if knobs.get("my.width", 4) == 64 else float(knobs.get("my.lr", 0.01))
        return 0.7 + 0.002 * knobs.get("my.width", 4) + 0.05 * (rate > 0.05) + noise

    others = ("knob.my.momentum=interval(0,1)", "knob.my.dropout=interval(0,0.5)")
    plan = tune_plan(*TRAINER[:2], RATE, WIDTH, *others, "budget_trials=300")
    curve = lambda knobs, seed: f"{reached(knobs)} {seed}"  # noqa: E731
    history, _ = carried_out(plan, value, curve_of=curve)
    rates = [step for step in history.sweeps if step.request.knob == "lr"]
    assert [step.inert for step in rates] == [False, True]
    joint = next(step for step in history.steps if step.request.stage == "joint").request
    passed = {each.knob: each.passed for each in reversed(joint.considered)}
    assert "my.lr" not in [knob.path for knob in joint.knobs]
    assert passed["my.lr"] == DEAD
    assert "; left out, as its sweep changed nothing: my.lr" in joint.because


@pytest.mark.parametrize("words", [(), ("protocol=coordinate",)])
def test_a_limit_that_no_training_reached_is_swept_again_once_the_incumbent_is_another(words):
    def reached(knobs):
        rate, clip = float(knobs.get("my.lr", 0.01)), knobs.get("my.clip", 1)
        return rate, clip if rate > 0.05 else None  # at a low rate no gradient is as long

    def value(knobs, seed):
        rate, clip = reached(knobs)
        noise = np.random.default_rng([seed, int(1e6 * rate), clip or 0]).normal(0, 0.001)
        return 0.7 + 0.1 * (rate > 0.05) + 0.05 * (clip == 5) + noise

    # The clip is first in the list; by verdicts the rate is, so that another knob moves it later.
    knobs = ("knob.my.clip=choice(1,5)", RATE)
    listed = (
        []
        if words
        else ["protocol.stages=[baseline,{sweeps: verdict},{sweep: lr},{sweeps: verdict}]"]
    )
    plan = tune_plan(*TRAINER, *knobs, *words, *listed, "budget_trials=400")
    verdict = lambda knobs: "unstable"  # noqa: E731
    curve = lambda knobs, seed: f"{reached(knobs)} {seed}"  # noqa: E731
    history, _ = carried_out(plan, value, verdict, curve_of=curve)
    clips = [step for step in history.sweeps if step.request.knob == "clip"]
    assert [step.acts_nowhere for step in clips][:2] == [True, False]
    assert history.held["my.clip"] == 5


def test_where_seeds_change_nothing_the_best_is_taken_without_a_p_and_that_is_told_once_in_full():
    def value(knobs, seed):
        rate = abs(math.log10(float(knobs.get("my.lr", 0.01))) + 1)
        return 0.7123 - 0.05 * rate + 0.0005 * knobs.get("my.width", 4)

    history, _ = carried_out(tune_plan(*TRAINER[:2], RATE, WIDTH, "budget_trials=90"), value)
    first, *later = [step for step in history.steps if step.evidence]
    assert {step.decision for step in (first, *later)} == {"adopt", "keep"}
    for step in (first, *later):
        scores = {str(each["knobs"]): each["scores"] for each in step.evidence["values"]}
        best = max(scores.values(), key=lambda some: some[0])
        assert step.evidence["untested"]
        assert step.incumbent[0].value == best[0]
        assert {each["p"] for each in step.evidence["values"]} == {None}
    assert "compared without a test: the trainer ignores the seed" in first.says
    assert "seeds=1 costs less" in first.says
    for step in later:
        says = "the trainer ignores" if step.request.stage == "confirm" else f"see {first.name}"
        assert f"compared without a test: {says}" in step.says


def test_a_score_that_rests_while_losses_move_blames_the_metric_and_keeps_the_rate_in_the_joint_stage():
    """As an F1 of 0 does, where no row is called a positive one yet."""
    plan = tune_plan(*TRAINER, RATE, WIDTH)
    told, untold = (
        carried_out(plan, lambda knobs, seed: 0.25, lambda knobs: "still_learning", curve_of=curve)[
            0
        ]
        for curve in (lambda knobs, seed: f"{knobs} {seed}", lambda knobs, seed: None)
    )
    for history, differ in ((told, True), (untold, False)):
        sweep = history.sweeps[0]
        assert (
            "losses differ, so the metric is too coarse to tell seeds apart" in sweep.says
        ) == differ
        assert ("the trainer ignores the seed" in sweep.says) == (not differ)
        joint = next(step for step in history.steps if step.request.stage == "joint").request
        dead = [each.knob for each in joint.considered if each.passed == DEAD]
        assert ("my.lr" not in dead) == differ


def test_equal_values_with_noise_are_never_called_without_effect_and_a_knob_nobody_reads_is():
    noise = np.random.default_rng(0)
    for values in (2, 5):
        rows = noise.normal(0.9, 0.01, size=(values, 3))
        groups = [Group(candidate=i, scores=tuple(row)) for i, row in enumerate(rows)]
        assert not change_nothing(groups)
        same = [Group(candidate=i, scores=(0.9, 0.8, None)) for i in range(values)]
        assert change_nothing(same)
    assert not change_nothing([Group(candidate=i, scores=(0.9,)) for i in range(2)])  # one pair
    assert not change_nothing([*same, Group(candidate=9, scores=(None, None, None))])


def test_a_key_is_mentioned_part_by_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text("rate = config['my']['lr']  # KNOBWISE_CONFIG")
    command = {
        "trainer": {"_target_": "trainers.command.train", "command": ["script.py", "{config}"]}
    }
    assert unmentioned(command, ["my.lr", "optimizer.lr"]) == ["optimizer.lr"]


def test_more_epochs_are_neither_tried_nor_advised_where_the_trainer_ends_by_itself():
    of = {"spec": TrialSpec(trial=0, stage="baseline", knobs={}, seed=0), "state": "complete"}
    own = TrialRecord(**of, value=0.9, epochs=6, reason=f"{BY_ITSELF} at epoch 6 of 10")
    zero = replace(own, epochs=9, reason=f"{BY_ITSELF} at epoch 9 of 10{FROM_ZERO}")
    patient = replace(own, reason="")
    assert ended_by_themselves([own, own, patient])
    assert not ended_by_themselves([own, patient])
    assert not ended_by_themselves([zero, zero])  # it follows trainer.epochs, and counts from 0

    plan = tune_plan(*TRAINER)
    for row, tried in ((own, False), (zero, True)):
        request = Request(entry=2, stage="baseline", because="")  # `longer` is the list's next
        baseline = Step(
            number=1,
            request=request,
            decision="done",
            says="",
            trials=3,
            incumbent=(row,) * 3,
            verdicts=(("too_short", 3),),
        )
        history = begun(plan, baseline)
        longer = next_stage(history)
        assert longer.stage == "longer"
        assert (longer.skip == "") == tried
        epochs = history.settings.spaces["epochs_range"][0]
        assert history.acts(epochs) == tried
        findings = find(plan, [row] * 3, val_rows=VAL_ROWS)
        assert ("trainer.epochs" in turnable(findings, findings.rows)) == tried


def test_more_epochs_are_not_advised_to_a_program_that_never_gets_their_number(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\nrate = float(sys.argv[1])\nfor epoch in range(5): print(epoch)\n"
    )
    spec = TrialSpec(trial=0, stage="baseline", knobs={}, seed=0)
    told = TrialRecord(spec=spec, state="complete", value=0.9, epochs=5)
    for words, follows in ((["{trainer.epochs}"], True), ([], False)):
        command = ["python", str(script), "{optimizer.lr}", *words]
        program = ("trainer=command", f"trainer.command={json.dumps(command)}", "data.rows=400")
        plan = tune_plan(*program, "budget_trials=120")
        findings = find(plan, [told] * 3, val_rows=VAL_ROWS)
        assert ("trainer.epochs" in turnable(findings, findings.rows)) is follows


def _inert_rate(gain):
    """No rate does anything, in no seed; the widest of three widths is better by so much."""

    def value(knobs, seed):
        width = knobs.get("my.width", 4)
        noise = np.random.default_rng([seed, width]).normal(0, 0.01)
        return 0.7 + gain * (width == 64) + noise

    return value


def test_the_one_knob_that_is_left_is_swept_with_the_budget_of_the_joint_stage():
    plan = tune_plan(*TRAINER, RATE, WIDTH, "budget_trials=90")  # the rate takes the sweeps' share
    history, rows = carried_out(plan, _inert_rate(0.04), lambda knobs: "still_learning")
    alone = history.steps[-3]
    assert (alone.request.knob, alone.decision) == ("width", "adopt")
    assert history.settings.stages[alone.request.entry].stage == "joint"
    assert [step.request.stage for step in history.steps[-2:]] == ["confirm", "ensemble"]
    assert dict(history.held) == {"my.width": 64}
    assert len(rows) <= 90


@pytest.mark.slow
def test_the_one_knob_that_is_left_does_nothing_in_most_protocols_and_is_not_adopted():
    kept = 0
    for first in range(30):
        words = (*TRAINER, RATE, WIDTH, "budget_trials=90", f"seed={100 * first}")
        plan = tune_plan(*words)
        history, _ = carried_out(plan, _inert_rate(0.0), lambda knobs: "still_learning")
        kept += not history.held
    assert kept >= 28


def test_what_a_verdict_advises_and_the_command_does_not_name_is_said():
    plan = tune_plan(*TRAINER, RATE, WIDTH)
    history, _ = carried_out(plan, score(of=["my.lr"]), lambda knobs: "still_learning")
    end = next(step for step in history.steps if step.request.stage == "sweeps")
    assert end.says.startswith("still_learning: ")
    assert end.says.endswith("is no knob of this search: trainer.epochs")  # my.lr was


@pytest.mark.parametrize(
    ("choices", "epochs"), [("5,12", 12), ("5,18,40", 18), ("5,300", None), ("2,5", None)]
)
def test_epochs_that_are_choices_are_lengthened_to_one_of_these(choices, epochs):
    words = (*TRAINER, RATE, f"knob.trainer.epochs=choice({choices})", "trainer.epochs=5")
    history, _ = carried_out(tune_plan(*words), score(of=["my.lr"]), lambda knobs: "too_short")
    longer = next(step for step in history.steps if step.request.stage == "longer")
    taken = [each.get("trainer.epochs") for each in longer.request.configurations[1:]]
    assert (taken == [epochs]) if epochs else "allows more epochs" in longer.says


@pytest.mark.parametrize("mover", ["optimizer.momentum", "trainer.batch_size", "model.width"])
def test_a_joint_stage_gives_the_rate_room_where_it_turns_what_moves_the_best_rate(mover):
    words = (*TRAINER, "+optimizer.momentum=0.5", "trainer.batch_size=32")
    rate, other = "knob.optimizer.lr=log(1e-5,1)", f"knob.{mover}=choice(0.5,0.9)"
    if mover != "optimizer.momentum":
        other = f"knob.{mover}=choice(16,32,64)"
    plan = tune_plan(*words, rate, other)

    def value(knobs, seed):
        noise = dice_of(seed, knobs).normal(0, 0.001)
        return 0.9 - 0.1 * abs(math.log10(float(knobs.get("optimizer.lr", 3e-4))) + 2) + noise

    history, _ = carried_out(plan, value, lambda knobs: "still_learning")
    joint = next(step for step in history.steps if step.request.stage == "joint")
    knob = joint.request.knobs[0]
    at = float(history.sweeps[0].held["optimizer.lr"])
    assert knob.low <= 1.001 * at / 10
    assert knob.high >= 0.999 * at * 10


@pytest.mark.parametrize(
    ("words", "of", "verdict", "says"),
    [
        (("preflight=off",), [], "cannot_tell", "labels belong to their rows"),
        (("preflight=off",), [], "dead", "does every weight get a gradient"),
        (("preflight=off",), ["my.width"], "cannot_tell", "train for longer"),  # a gain was found
        ((), [], "cannot_tell", "train for longer"),  # the checks have looked at the labels
        (("preflight=off",), [], "still_learning", "train for longer"),
    ],
)
def test_a_search_without_preflight_that_keeps_a_baseline_of_which_nothing_is_known_says_what_to_look_at(
    words, of, verdict, says
):
    findings = staged_findings(score(of=of), *TRAINER, RATE, WIDTH, *words)
    numbers = findings.steps[-1]["trials"]
    told = {number: Verdict(name=verdict, why="") for number in numbers}
    lines = next_lines(replace(findings, verdicts=told))
    assert says in lines[0]
    command = [line for line in lines if "protocol=unstick" in line]
    is_silent = bool(words) and not of and verdict != "still_learning"
    assert bool(command) == is_silent
    assert all(line.endswith("preflight=on") for line in command)


def _rising(plan):
    """The higher the rate, the better; width pays, smoothed labels cost."""

    def value(knobs, seed):
        noise = dice_of(seed, knobs).normal(0, 0.001)
        rate = float(knobs.get("optimizer.lr", plan.config.optimizer.lr))
        wide, smooth = knobs.get("model.width", 32), knobs.get("loss.label_smoothing", 0)
        return 0.7 + 0.02 * math.log10(rate) + 0.0005 * wide - 0.2 * smooth + noise

    return value


STOCK = ("optimizer.lr=0.003", "model.width=32", "optimizer.weight_decay=0.01")


@pytest.mark.parametrize(
    ("words", "leaves"),
    [
        (["space.optimizer.lr.low=1e-4", "space.optimizer.lr.high=1e-2"], False),
        (["space.optimizer.lr.high=1e-2", "space.optimizer.lr.max=1e3"], True),
        (["knob.optimizer.lr=log(1e-4,1e-2)", "knob.model.width=int(log(16,64))"], False),
        (["knob.optimizer.lr=log(1e-4,1e-2)", "knob.trainer.batch_size=int(log(8,512))"], False),
        (["knob.optimizer.weight_decay=log(1e-4,1e-1)", "knob.optimizer.lr=log(1e-4,1e-2)"], False),
        (
            [
                "knob.optimizer.lr=log(1e-4,1e-2)",
                "knob.trainer.batch_size=int(log(8,512))",
                "optimizer.lr=0.05",
                "protocol=fixed_order",
            ],
            False,
        ),
        (
            [
                "knob.loss.label_smoothing=interval(0.05,0.2)",
                "protocol=sweeps",
                "protocol.refine=1",
            ],
            False,
        ),
    ],
)
def test_no_trial_leaves_a_range_that_the_command_names_unless_it_names_a_limit_too(words, leaves):
    plan = tune_plan(*STOCK, *words, "protocol.extend=2", "budget_trials=120")
    history, rows = carried_out(plan, _rising(plan))
    named = [knobs[0] for knobs in plan.settings.spaces.values() if knobs[0].path in str(words)]
    outside = [
        (knob.path, row.spec.knobs[knob.path])
        for row in rows
        for knob in named
        if not knob.holds(value := row.spec.knobs.get(knob.path, plan.default(knob)))
        if value != plan.default(knob)  # the baseline is where the config begins
    ]
    assert bool(outside) is leaves, outside
    end = "0.01, the best, lies at the end of the range that you named"
    told = any(end in step.says for step in history.steps)
    begins_inside = all(knob.holds(plan.default(knob)) for knob in named)
    assert told or leaves or not begins_inside


@pytest.mark.parametrize(
    ("measured", "swept", "told"),
    [
        ((1e-6, 10.0), (1e-4, 1e-2), "; of 1e-06 to 10 what lies within its limits"),
        ((2e-4, 5e-3), (2e-4, 5e-3), ""),
        (
            (9e-3, 10.0),
            (1e-4, 1e-2),
            "; 0.009 to 10 lies beyond its limits, so its own range is swept",
        ),
    ],
)
def test_a_measured_range_of_rates_is_cut_to_the_one_that_the_command_names(measured, swept, told):
    plan = tune_plan("knob.optimizer.lr=log(1e-4,1e-2)", "optimizer.lr=0.003")
    ramp = Step(
        number=1,
        request=Request(entry=4, stage="lr_range", because=""),
        decision="done",
        says="",
        rates=measured,
    )
    request = next_stage(begun(plan, ramp))
    assert (request.knobs[0].low, request.knobs[0].high) == swept
    assert request.because.endswith(f"matters most{told}")


@pytest.mark.parametrize(
    ("batch", "moves"),
    [
        ("knob.my.batch=int(log(8,128))", True),
        ("knob.my.batch=choice(8,128)", True),
        ("knob.my.rows=choice(8,128)", True),  # by what the user says of it
        ("knob.my.rows=choice(8,half,128)", False),  # of which none is so many times another
        ("knob.my.other=choice(8,128)", False),
    ],
)
def test_the_rate_moves_with_the_root_of_a_batch_size_of_ones_own(batch, moves):
    path = batch.removeprefix("knob.").partition("=")[0]
    said = [f"space.{path}.acts_as=batch_size"] if path == "my.rows" else []
    words = (*TRAINER, RATE, batch, *said, "my.lr=0.01", f"{path}=32", "protocol=coordinate")
    _, rows = carried_out(tune_plan(*words), score(of=()))
    tried = {row.spec.knobs[path]: row.spec.knobs for row in rows if path in row.spec.knobs}
    rates = {size: knobs.get("my.lr", 0.01) for size, knobs in tried.items()}
    assert {8, 128} <= {*rates}
    at = lambda size: (size / 32) ** 0.5 if moves else 1  # noqa: E731
    assert [rates[size] / 0.01 for size in (8, 128)] == pytest.approx([at(8), at(128)])
