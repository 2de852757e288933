"""A user's generator as a seat, by import path."""

import multiprocessing
import os
import pkgutil
import random
import re
import shutil
import sys
import threading
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from matplotlib import pyplot

import trainers
from search.contract.arrays import FoldData
from search.contract.metrics import Metric
from search.execution.end_reasons import TrialEnd
from search.execution.worker.failures import end_of
from search.execution.worker.trial_runner import TrialRunner
from trainers.api import Data, End, Epoch, Failure, NothingReported, Part
from trainers.callable import CallableSeats, open_seats, rehearse
from trainers.checkpoint import FolderCheckpoint, TrialCheckpoint
from trainers.isolation import shared_files
from trainers.isolation.process_settings import PRECISIONS

ACCURACY = Metric(name="accuracy", direction="maximize")
DATA = Data(train=Part(index=np.arange(2)), val=Part(index=np.arange(2)))


def _seat(train, folder):
    seats = CallableSeats(train, data=DATA, device="cpu")
    seats.admit(5, config={"seed": 0}, checkpoint=FolderCheckpoint(folder))
    return seats


def test_epochs_are_counted_from_one_or_as_told(tmp_path):
    def counted(config, data, device, checkpoint):
        yield {"accuracy": 0.1}
        yield {"accuracy": 0.2, "epoch": 4}
        yield {"accuracy": 0.3}

    seats = _seat(counted, tmp_path)
    outcomes = [seats.step()[0] for _ in range(4)]
    assert [outcome.epoch for outcome in outcomes[:3]] == [1, 4, 5]
    assert outcomes[3] == End(trial=5)
    assert "epoch" not in outcomes[1].values


def test_losses_under_other_spellings_have_the_names_that_verdicts_read(tmp_path):
    def spelt(config, data, device, checkpoint):
        yield {"val/loss": 2.0, "Train Loss": 1.0}  # as libraries write them
        yield {"eval_loss": 4.0, "val_loss": 3.0}  # their own names win
        yield {"loss": 7.0, "eval_loss": 8.0}  # beside one of validation it is of train
        yield {"loss": 9.0}
        yield {"loss_valid": 8.0, "loss_train": 7.0}
        yield {"val/loss_mask": 5.0, "train_loss_step": 6.0}  # parts of a loss are none
        yield {"train_loss": 1.0, "test_loss": 2.0}  # the rows on which a program validates
        yield {"test_loss": 2.0, "val_accuracy": 0.5}  # beside those of validation they are none

    seats, ours = _seat(spelt, tmp_path), ("train_loss", "val_loss")
    told = [seats.step()[0].values for _ in range(8)]
    assert [[values.get(name) for name in ours] for values in told] == [
        [1, 2],
        [None, 3],
        [7, 8],
        [None, None],
        [7, 8],
        [None, None],
        [1, 2],
        [None, None],
    ]
    assert told[0]["val/loss"] == 2.0  # it may be the metric, or a column that is looked for


def test_epoch_zero_is_the_untrained_model(tmp_path):
    def zero(config, data, device, checkpoint):
        yield {"epoch": 0}
        yield {}

    seats = _seat(zero, tmp_path)
    assert [seats.step()[0].epoch for _ in range(2)] == [0, 1]


def test_a_repeated_epoch_and_any_other_error_is_a_failure_of_the_trial(tmp_path):
    def twice(config, data, device, checkpoint):
        yield {"epoch": 2}
        yield {"epoch": 2}

    seats = _seat(twice, tmp_path)
    assert isinstance(seats.step()[0], Epoch)
    (failure,) = seats.step()
    assert isinstance(failure, Failure)
    assert str(failure.error) == (
        "epochs must rise, but got epoch 2 after 2; yield or print each epoch once, "
        "and of several folds their mean; what is evaluated before the training, as in Lightning's "
        "sanity check, is no epoch"
    )


@pytest.mark.parametrize("given", [5, None, [("val_loss", 1.0)], "val_loss"])
def test_what_is_yielded_and_is_no_dict_is_named(given, tmp_path):
    def numbers(config, data, device, checkpoint):
        yield given

    (failure,) = _seat(numbers, tmp_path).step()
    assert "must yield a dict per epoch, such as {'val_loss': 0.5" in str(failure.error)
    assert f"but got {given!r}, a {type(given).__name__}" in str(failure.error)


@pytest.mark.parametrize("blocks", [False, True])
def test_sys_exit_ends_a_training_after_its_last_epoch_and_fails_it_with_a_reason(blocks, tmp_path):
    def generator(config, data, device, checkpoint):
        yield {"accuracy": 0.5}
        sys.exit(config["code"])

    def blocking(config, data, device, checkpoint):
        trainers.report(accuracy=0.5)
        sys.exit(config["code"])

    def ends(code, epochs=1):
        seats = CallableSeats(blocking if blocks else generator, data=DATA, device="cpu")
        config = {"seed": 0, "code": code, "trainer": {"epochs": epochs}}
        seats.admit(5, config=config, checkpoint=FolderCheckpoint(tmp_path))
        assert isinstance(seats.step()[0], Epoch)
        return seats.step()[0]

    assert ends(None) == ends(0) == End(trial=5)
    for code in (1, "no data"):
        end = ends(code)
        assert isinstance(end, Failure)
        assert f"the trainer called sys.exit({code!r})" in str(end.error)
        assert end.error.__traceback__ is not None
    with pytest.raises(SystemExit):  # as a handler of SIGTERM may: the worker ends
        ends(0, epochs=2)


@pytest.mark.parametrize(
    ("epoch", "whole"),
    [(1.0, 1), (np.int64(1), 1), (torch.tensor(1), 1), (0.5, None), (1.5, None), ("1", None),
     (float("nan"), None), (float("inf"), None), (2**70, None)],
)  # fmt: skip
def test_an_epoch_that_is_no_whole_number_is_refused_and_not_rounded(epoch, whole, tmp_path):
    def own(config, data, device, checkpoint):
        yield {"epoch": epoch}

    (outcome,) = _seat(own, tmp_path).step()
    if whole is not None:
        assert isinstance(outcome, Epoch)
        assert outcome.epoch == whole
        return
    assert isinstance(outcome, Failure)
    assert str(outcome.error) == (
        f"epochs must be whole numbers, but got epoch {epoch!r}; number what you yield 1, 2, 3 …, "
        "evaluations within an epoch too"
    )


def test_what_a_trial_sets_for_the_process_is_its_own_until_it_ends(tmp_path):
    def sets(config, data, device, checkpoint):
        def state():
            place = (Path.cwd(), os.environ.get("OWN_RATE"), os.environ["HOME"])
            return (torch.get_default_dtype(), torch.is_grad_enabled(), *place)

        seen = state()
        assert os.environ["PL_TRAINER_DEFAULT_ROOT_DIR"] == str(checkpoint.files)
        while True:
            os.environ["OWN_RATE"], os.environ["HOME"] = "0.1", "/nowhere"
            torch.set_default_dtype(torch.float64)
            torch.set_num_threads(3)
            os.chdir(tmp_path)
            with torch.no_grad():
                yield {"same": seen == (state()[0], True, *state()[2:])}
            seen = state()

    threads, here, variables = torch.get_num_threads(), Path.cwd(), dict(os.environ)
    first, second = _seat(sets, tmp_path), _seat(sets, tmp_path)  # as two folds of a trial
    for same in (False, True):
        assert [seat.step()[0].values["same"] for seat in (first, second)] == [same, same]
        assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)
        assert (torch.get_num_threads(), Path.cwd()) == (threads, here)
        assert dict(os.environ) == variables
    first.release(5)
    assert (torch.get_default_dtype(), Path.cwd()) == (torch.float32, here)


def test_what_a_trial_sets_in_libraries_ends_with_it(tmp_path):
    def sets(config, data, device, checkpoint):
        multiprocessing.set_start_method("spawn")  # refused where it has been called before
        np.seterr(over="raise")
        torch.set_default_device("meta")
        torch.use_deterministic_algorithms(True)
        torch.autograd.set_detect_anomaly(True)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.benchmark_limit = 3
        torch.backends.cudnn.allow_tf32 = False
        torch.set_autocast_dtype("cpu", torch.float16)
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        torch.set_autocast_cache_enabled(False)
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_fp16_accumulation = True
        with suppress(RuntimeError):  # torch without a GPU has only one
            torch.backends.cuda.preferred_linalg_library("magma")
        yield {"made": torch.zeros(1).device.type}

    multiprocessing.set_start_method(None, force=True)
    before = _library_settings()
    for _ in range(2):
        seat = _seat(sets, tmp_path)
        assert seat.step()[0].values["made"] == "meta"
        assert _library_settings() != before
        seat.release(5)
        assert _library_settings() == before
    assert not torch.utils._device.CURRENT_DEVICE  # no mode that would slow each new tensor


def _library_settings():
    cudnn = torch.backends.cudnn
    return (
        multiprocessing.get_start_method(allow_none=True),
        np.geterr(),
        torch.zeros(1).device.type,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_float32_matmul_precision(),
        cudnn.benchmark,
        cudnn.benchmark_limit,
        cudnn.allow_tf32,
        torch.get_autocast_dtype("cpu"),
        torch.get_autocast_dtype("cuda"),
        torch.is_autocast_cache_enabled(),
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction,
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
        torch.backends.cuda.matmul.allow_fp16_accumulation,
        torch.backends.cuda.preferred_linalg_library(),
    )


def test_what_a_library_keeps_once_for_its_process_is_emptied_after_each_trial(
    tmp_path, monkeypatch
):
    class State:
        _shared_state = {}  # noqa: RUF012  # so does Accelerate

    stand_in = SimpleNamespace(PartialState=State, AcceleratorState=State, GradientState=State)

    def chooses(config, data, device, checkpoint):
        monkeypatch.setitem(sys.modules, "accelerate.state", stand_in)  # imported by a training
        found = dict(State._shared_state)
        State._shared_state["precision"] = "bf16"
        yield {"found": found}
        yield {"found": dict(State._shared_state)}

    for _ in range(2):
        seat = _seat(chooses, tmp_path)
        assert seat.step()[0].values["found"] == {}
        assert seat.step()[0].values["found"] == {"precision": "bf16"}
        seat.release(5)
        assert State._shared_state == {}
    State._shared_state["device"] = "cpu"  # as a module of the user's at its import
    seat = _seat(chooses, tmp_path)
    seat.step()
    seat.release(5)
    assert State._shared_state == {"device": "cpu"}


def test_a_hydra_app_that_initialises_itself_does_so_in_each_trial(tmp_path):
    (tmp_path / "config.yaml").write_text("lr: 0.1\n")

    def composes(config, data, device, checkpoint):
        initialize_config_dir(str(tmp_path), version_base=None)  # no context: it stays
        yield {"accuracy": compose("config", overrides=[f"lr={config['seed']}"]).lr}

    for seed in (1, 2):
        seats = CallableSeats(composes, data=DATA, device="cpu")
        seats.admit(5, config={"seed": seed}, checkpoint=FolderCheckpoint(tmp_path))
        assert seats.step()[0].values["accuracy"] == seed
        seats.release(5)
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    "change",
    [
        lambda: setattr(torch.backends, "fp32_precision", "tf32"),
        lambda: torch.set_float32_matmul_precision("high"),
        lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
        lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
        lambda: setattr(torch.backends.cudnn.conv, "fp32_precision", "ieee"),
        lambda: setattr(torch.backends.mkldnn, "fp32_precision", "bf16"),
    ],
    ids=["all", "products", "CUDA", "cuDNN", "convolutions", "processor"],
)
def test_every_way_to_set_precision_ends_with_the_trial(change, tmp_path):
    """Each kind's own precision too: one left at "ieee" would not follow the next trial's general
    one."""

    def sets(config, data, device, checkpoint):
        change()
        yield {"loss": 1.0}

    precisions = attrgetter(*PRECISIONS)
    before = precisions(torch)
    seat = _seat(sets, tmp_path)
    seat.step()
    assert precisions(torch) != before
    seat.release(5)
    assert precisions(torch) == before
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.slow
def test_the_tenth_trial_in_a_process_is_compiled_as_the_first(tmp_path):
    compiled = []

    def twice(x):
        return 2 * x

    def compiles(config, data, device, checkpoint):
        """Each trial makes another model of the same code, as with another width."""

        def backend(graph, inputs):
            compiled.append(len(inputs[0]))
            return graph.forward

        torch.compile(twice, backend=backend, dynamic=False)(torch.zeros(len(compiled) + 2))
        yield {"loss": 1.0}

    for _ in range(10):  # torch's limit is 8
        seat = _seat(compiles, tmp_path)
        assert isinstance(seat.step()[0], Epoch)
        seat.release(5)
    assert compiled == list(range(2, 12))


def test_a_process_group_and_figures_end_with_the_trial(tmp_path):
    def opens(config, data, device, checkpoint):
        store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        pyplot.figure()
        yield {"figures": len(pyplot.get_fignums())}

    for _ in range(2):
        (tmp_path / "store").unlink(missing_ok=True)
        seat = _seat(opens, tmp_path)
        assert seat.step()[0].values["figures"] == 1
        seat.release(5)
        assert not torch.distributed.is_initialized()
        assert not pyplot.get_fignums()


SCRIPT = """
import numpy as np, torch
from argparse import Namespace
from collections import defaultdict, deque
best, history, first, rate, rows, cache, flag = 0, [], None, 0.5, None, {}, False
scores, curves, words, memory = {}, defaultdict(list), Namespace(best=None), deque(maxlen=9)
deep, table, log, samples = {"a": [{"n": [0.0]}]}, np.zeros((3, 3)), [], []
settings = {"rate": 0.5, "other": 1}
model, fixed = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)

class Rude:
    def __getattribute__(self, name):
        raise RuntimeError(name)
rude = Rude()

class Stopping:
    counter, mean = 0, 1.5
stopping = Stopping()
stopping.mean = 2.5

def train(config, data, device, checkpoint):
    global best, first, rate, rows, flag
    what = config["what"]
    if what == "best": best = max(best, torch.tensor(0.9))
    if what == "history": history.append(0.9)
    if what == "first": first = 0.9
    if what == "stopping.mean": stopping.mean = 0.5
    if what == "Stopping.counter": Stopping.counter += 1
    if what == "model":
        fixed(torch.ones(1, 2))
        model(torch.ones(1, 2)).sum().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    if what == "scores['best']": scores["best"] = 0.9
    if what == "curves['loss']": curves["loss"].append(0.9)
    if what == "words.best": words.best = 0.9
    if what == "memory": memory.append((torch.zeros(2), 1))
    if what == "deep['a'][-1]['n']": deep["a"][0]["n"][0] = 0.9
    if what == "table": table[1, 1] = 0.9
    if what == "log": log.append({"epoch": 1, "loss": 0.9})
    if what == "rate": rate = settings["rate"] = settings["other"] = config["rate"]
    if what == "reads once":
        rows, cache["x"], flag = 10, np.ones(3), True
        cache["names"], cache["n"] = {"a": 1}, 7
        samples.extend([("a", 1), ("b", 2)])
    yield {"accuracy": 0.9}
"""


@pytest.mark.parametrize(
    ("what", "name"),
    [*((name, name) for name in ("best", "history", "first", "model")),
     *((name, name) for name in ("Stopping.counter", "stopping.mean")),
     *((name, name) for name in ("scores['best']", "curves['loss']", "words.best", "memory")),
     *((name, name) for name in ("deep['a'][-1]['n']", "table", "log")),
     ("rate", ""), ("reads once", "")],
)  # fmt: skip
def test_what_a_trial_changes_of_a_module_is_named_and_spends_the_process(
    what, name, tmp_path, monkeypatch
):
    module = "script_" + "".join(filter(str.isalpha, what))
    (tmp_path / f"{module}.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(str(tmp_path))
    fold = FoldData(data=DATA)
    runner = TrialRunner(f"{module}.train", folds=[fold], device="cpu", metric=ACCURACY)
    checkpoint = TrialCheckpoint(tmp_path, folds=1, every=9)
    runner.admit(5, config={"seed": 0, "what": what, "rate": 0.1}, checkpoint=checkpoint)
    (result,) = runner.step()
    assert result.message.remark.startswith(f"{module}.{name} is changed" if name else "")
    assert bool(result.message.remark) == bool(name)
    runner.release(5)
    assert runner.fresh == (not name)


def test_a_module_that_takes_the_place_of_a_removed_one_is_looked_at(tmp_path, monkeypatch):
    """As many modules are loaded as before, but others."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for module, removed in (("script_before", "none"), ("script_behind", "script_before")):
        (tmp_path / f"{module}.py").write_text(SCRIPT)
        sys.modules.pop(removed, None)
        runner = TrialRunner(
            f"{module}.train", folds=[FoldData(data=DATA)], device="cpu", metric=ACCURACY
        )
        checkpoint = TrialCheckpoint(tmp_path, folds=1, every=9)
        runner.admit(5, config={"seed": 0, "what": "history", "rate": 0.1}, checkpoint=checkpoint)
        assert runner.step()[0].message.remark.startswith(f"{module}.history is changed")
        runner.release(5)


REPLACES = """
import builtins, math, random, time
import numpy, torch
from torch import nn
from torch.nn import functional as F

def train(config, data, device, checkpoint):
    what, plain = config["what"], F.relu
    if what == "torch.nn.Linear.reset_parameters": nn.Linear.reset_parameters = lambda self: None
    if what == "torch.nn.functional.relu": F.relu = F.silu
    if what == "for a while": F.relu = F.silu
    if what in REPLACED:
        owner, _, name = what.rpartition(".")
        setattr(eval(owner), name, lambda *_: 0.25)
    if what == "builtins.print": builtins.print = lambda *_: None
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())  # torch wraps its step
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    torch.compile(model, backend="eager")(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    if what == "for a while": F.relu = plain
    yield {"accuracy": 0.9}
"""
REPLACED = ("random.seed", "random.random", "numpy.random.seed", "numpy.random.rand", "numpy.sqrt", "numpy.mean",
            "time.sleep", "math.sqrt", "torch.manual_seed", "torch.Tensor.backward",
            "torch.optim.Adadelta", "torch.utils.data.DataLoader.__iter__")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [*REPLACED, "torch.nn.Linear.reset_parameters", "torch.nn.functional.relu",
     "for a while", "builtins.print", "none"],
)  # fmt: skip
def test_a_function_of_a_library_that_a_trial_replaces_is_named_and_spends_the_process(
    what, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", torch.nn.Linear.reset_parameters)
    monkeypatch.setattr(torch.nn.functional, "relu", torch.nn.functional.relu)
    for path in (*REPLACED, "builtins.print"):
        owner, _, name = path.rpartition(".")
        home = pkgutil.resolve_name(owner)
        monkeypatch.setattr(home, name, getattr(home, name))
    module = "replaces_" + "".join(filter(str.isalpha, what))
    (tmp_path / f"{module}.py").write_text(f"REPLACED = {REPLACED}\n{REPLACES}")
    monkeypatch.syspath_prepend(str(tmp_path))
    runner = TrialRunner(f"{module}.train", folds=[FoldData(data=DATA)], device="cpu", metric=ACCURACY)  # fmt: skip
    checkpoint = TrialCheckpoint(tmp_path, folds=1, every=9)
    runner.admit(5, config={"seed": 0, "what": what}, checkpoint=checkpoint)
    (result,) = runner.step()
    assert result.error is None
    is_replaced = what in REPLACED or what.startswith("torch.")
    assert result.message.remark.startswith(
        f"{what} is changed by a training" if is_replaced else ""
    )
    assert bool(result.message.remark) == is_replaced
    runner.release(5)
    assert runner.fresh == (not is_replaced)


def test_a_resumed_trial_numbers_its_epochs_on(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path)
    checkpoint.save({}, epoch=7)
    checkpoint.confirm(7, best_epoch=7)
    checkpoint.flush()

    def on(config, data, device, checkpoint):
        yield {}

    assert _seat(on, tmp_path).step()[0].epoch == 8


def test_release_closes_the_generator(tmp_path):
    closed = []

    def open_ended(config, data, device, checkpoint):
        try:
            while True:
                yield {}
        finally:
            closed.append(True)

    seats = _seat(open_ended, tmp_path)
    seats.step()
    seats.release(5)
    assert closed == [True]
    assert seats.step() == []


def test_a_function_that_neither_yields_nor_reports_fails_its_trial(tmp_path):
    (failure,) = _seat(lambda *_: 3, tmp_path).step()
    assert isinstance(failure.error, NothingReported)
    assert "must be a generator function that yields once per epoch, or a function that" in str(
        failure.error
    )
    assert "but it gave int and reported nothing; use yield or report" in str(failure.error)


def test_a_blocking_function_reports_as_a_generator_yields(tmp_path):
    def told(config, data, device, checkpoint):
        for epoch in range(1, 4):
            trainers.report(epoch=epoch, accuracy=epoch / 10)

    def yielded(config, data, device, checkpoint):
        for epoch in range(1, 4):
            yield {"epoch": epoch, "accuracy": epoch / 10}

    def outcomes(train):
        seats = _seat(train, tmp_path)
        return [seats.step() for _ in range(4)]

    assert outcomes(told) == outcomes(yielded)


def test_a_trial_that_is_to_stop_raises_in_report_and_may_clean_up_but_report_no_more(tmp_path):
    story = []

    def fit(config, data, device, checkpoint):
        try:
            for epoch in range(1, 10):
                story.append(epoch)
                try:
                    trainers.report(epoch=epoch)
                except Exception:  # noqa: BLE001  # as trainings do
                    story.append("swallowed")
        finally:
            story.append("cleaned up")
            trainers.report(epoch=10)

    seats = _seat(fit, tmp_path)
    seats.step()
    seats.step()
    seats.release(5)
    assert story == [1, 2, "cleaned up"]
    assert seats.step() == []


def test_what_a_blocking_function_raises_fails_its_trial_alone(tmp_path):
    def fit(config, data, device, checkpoint):
        trainers.report(epoch=1)
        raise ValueError("no luck")

    seats = _seat(fit, tmp_path)
    assert seats.step()[0].epoch == 1
    assert str(seats.step()[0].error) == "no luck"


def test_report_in_another_thread_is_refused_and_outside_of_a_search_does_nothing(tmp_path):
    errors = []

    def elsewhere():
        try:
            trainers.report(epoch=1)
        except RuntimeError as error:
            errors.append(str(error))

    def fit(config, data, device, checkpoint):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        trainers.report(epoch=1)

    seats = _seat(fit, tmp_path)
    seats.step()
    seats.release(5)
    assert "must be called in the thread in which the trainer was called" in errors[0]
    trainers.report(epoch=1)  # by itself, such a script runs on


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (
            "nowhere.train",
            ImportError,
            "trainer._target_: 'nowhere.train' cannot be imported: No module named 'nowhere'",
        ),
        (
            "toys.nothing",
            ImportError,
            "'toys.nothing' cannot be imported: toys has no 'nothing'; ",
        ),
        ("toys.PAUS", ImportError, "toys has no 'PAUS'; did you mean 'PAUSE'"),
        (
            "toys.PAUSE",
            TypeError,
            "trainer._target_: must name a function, but got 'toys.PAUSE', a float; give",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_told_with_what_was_tried(target, error, message):
    with pytest.raises(error, match=message) as raised:
        open_seats(target, data=DATA, device="cpu")
    # the dry run has imported it: this node lacks it, and no trial is charged
    end = end_of(raised.value, trial=0, folder=Path.cwd()).end
    assert end is (TrialEnd.MACHINE_FAULT if error is ImportError else TrialEnd.FAILED)


@pytest.mark.parametrize(
    ("signature", "fits"),
    [
        ("cfg=None", False),
        ("config, data, device, checkpoint", True),
        ("cfg, rows, device, state", True),
        ("*four", True),
        ("config, data, checkpoint, device", False),
        ("data, config, *more", False),
    ],
)
def test_the_main_of_a_script_and_another_order_are_no_trainer_and_told_before_anything_is_written(
    signature, fits, tmp_path, monkeypatch
):
    name = f"script_{abs(hash(signature))}"
    (tmp_path / f"{name}.py").write_text(f"def main({signature}):\n    yield {{}}\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = {"trainer": {"_target_": f"{name}.main"}, "metric": {}}
    if fits:
        assert rehearse(config, (1, 1, "classification")) is None
        return
    with pytest.raises(
        TypeError, match=rf"'{name}.main' takes \({re.escape(signature)}\); write a function"
    ):
        rehearse(config, (1, 1, "classification"))


def test_a_module_that_ends_the_program_at_import_is_told_so(tmp_path, monkeypatch):
    script = "import argparse; p = argparse.ArgumentParser(); p.add_argument('--lr', required=True); p.parse_args()"  # fmt: skip
    (tmp_path / "script_of_words.py").write_text(script)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="its module ends the program, as argparse does"):
        open_seats("script_of_words.train", data=DATA, device="cpu")


def test_one_seed_is_one_training_for_code_that_seeds_nothing(tmp_path):
    def draws(config, data, device, checkpoint):
        yield {"drawn": (random.random(), np.random.rand(), torch.rand(1).item())}

    def drawn(seed):
        seats = CallableSeats(draws, data=DATA, device="cpu")
        seats.admit(0, config={"seed": seed}, checkpoint=FolderCheckpoint(tmp_path))
        return seats.step()[0].values["drawn"]

    first, other = drawn(3), drawn(4)
    assert drawn(3) == first
    assert not set(first) & set(other)


@pytest.mark.slow
def test_weights_that_trials_write_for_each_other_or_in_folders_of_no_trials_name_are_told(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared_files, "FRESH", 0.0)
    (tmp_path / "out" / "run" / "saved").mkdir(parents=True)

    def train(config, data, device, checkpoint):
        for name in config["writes"]:
            yield {"accuracy": 0.5}
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(str(config["seed"]))
        yield {"accuracy": 0.5}

    def remarks(seed, *names):
        seats = CallableSeats(train, data=DATA, device="cpu")
        config = {"seed": seed, "writes": names}
        seats.admit(0, config=config, checkpoint=FolderCheckpoint(tmp_path / "checkpoints"))
        outcomes = [seats.step()[0] for _ in range(len(names) + 1)]
        return [outcome.values.get("remark", "")[:12] for outcome in outcomes]

    assert remarks(1, "out/model.pt") == ["", ""]  # the first to write it
    assert remarks(2, "out/own-2.pt") == ["", ""]  # a name of its own
    assert remarks(2, "out/run/saved/best.pth") == ["", ""]
    assert remarks(3, "out/run/saved/best.pth") == ["", "out/run/save"]
    (tmp_path / "lr0.000215-seed0").mkdir()
    assert remarks(4, "lr0.000215-seed0/a.pt") == ["", ""]  # a folder of its own
    (tmp_path / "out" / "run" / "contract.yaml").touch()  # the folder of a search
    assert remarks(4, "out/run/saved/best.pth") == ["", ""]
    assert remarks(3, "train.log", "train.log") == ["", "", ""]
    assert remarks(4, "train.log", "out/model.pt", "x", "y") == ["", "", "", "out/model.pt", ""]
    for name, told in (("logs/version_0", "logs/version"), ("runs/1128_181010", "runs/N_N, in")):
        assert remarks(4, f"{name}/last.ckpt") == ["", told]
        shutil.rmtree(tmp_path / name)
    for name in ("mlruns/0/5e1277dd01904ab48ec4a06a86e2cb8c", "wandb/run-20241128_181010-x7k2p9q1"):
        assert remarks(4, f"{name}/last.ckpt") == ["", ""]  # no other trial has it


def test_short_trials_beside_weights_search_their_folder_once_and_not_at_each_look(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared_files, "FRESH", 60.0)
    (tmp_path / "before.pt").touch()
    searched = []
    search = shared_files._saved_at
    monkeypatch.setattr(
        shared_files, "_saved_at", lambda place: searched.append(1) or search(place)
    )

    def train(config, data, device, checkpoint):
        while True:
            yield {"accuracy": 0.5}

    for _ in range(3):
        seats = _seat(train, tmp_path / "checkpoints")
        assert [seats.step()[0].values.get("remark") for _ in range(20)] == [None] * 20
        seats.release(5)
    assert len(searched) == 1


def test_a_package_of_the_users_that_ours_hides_or_src_holds_is_named(tmp_path, monkeypatch):
    with pytest.raises(ImportError, match=r"'trainers\.loop'; mend the path or the module"):
        open_seats("trainers.loop.train", data=DATA, device="cpu")
    (tmp_path / "trainers").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match="; rename your trainers, which Knobwise's own hides"):
        open_seats("trainers.loop.train", data=DATA, device="cpu")
    (tmp_path / "src" / "vision").mkdir(parents=True)
    for package, said in (("vision", "; say PYTHONPATH=src"), ("visio", "; mend the path")):
        with pytest.raises(ImportError, match=said):
            open_seats(f"{package}.loop.train", data=DATA, device="cpu")
