"""A student learns from a teacher of the same contract, by temperature and weight (R52)."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from kit import INLINE, search
from omegaconf import OmegaConf
from refusals import check_told, raises
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from search.config.compose import compose_experiment
from search.contract.contract import prepare
from search.contract.metrics import Metric
from search.lifecycle.teacher import check_teacher, record_teacher
from search.storage.folder import Folder
from trainers.api import Data, Epoch, Part
from trainers.callable import open_seats
from trainers.checkpoint import Unsaved
from trainers.distillation import Distillation, read_distillation, with_teacher

ACCURACY = Metric(name="accuracy", direction="maximize")


def _config(
    *, width, epochs, seed=0, teacher=None, weight=0.5, temperature=2.0, dropout=0.0, rate=0.003
):
    return {
        "seed": seed,
        "trainer": {
            "_target_": "trainers.stock.Stock", "predict": "trainers.stock.predict",
            "epochs": epochs, "batch_size": 32,
        },
        "model": {
            "_target_": "trainers.models.mlp.MLP",
            **{"inputs": 64, "outputs": 10, "width": width, "depth": 1, "dropout": dropout},
        },
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": rate},
        "distillation": {"teacher": teacher, "temperature": temperature, "weight": weight},
    }  # fmt: skip


def _data(*, wrong=0.3, rows=600):
    """Digits, of whose train labels a share is wrong."""
    x, y = load_digits(return_X_y=True)
    dice = np.random.default_rng(0)
    order = dice.permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    told = y[:rows].copy()
    lies = dice.random(rows) < wrong
    told[lies] = dice.integers(0, 10, int(lies.sum()))
    return Data(
        train=Part(index=np.arange(rows), x=x[:rows], y=told),
        val=Part(index=np.arange(rows, len(x)), x=x[rows:], y=y[rows:]),
    )


def _trained(config, data):
    """The validation accuracy of the last epoch, and the seats."""
    seats = open_seats("trainers.stock.Stock", data=data, device="cpu")
    checkpoint = Unsaved()
    seats.admit(0, config=config, checkpoint=checkpoint)
    shares = []
    for _ in range(config["trainer"]["epochs"] + 1):
        (outcome,) = seats.step()
        assert isinstance(outcome, Epoch), outcome
        shares.append(float((outcome.values["predictions"].argmax(1) == data.val.y).mean()))
    return shares[-1], seats


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A wide teacher, exported after few epochs, and the data."""
    place, data = tmp_path_factory.mktemp("teacher") / "best", _data()
    config = _config(width=256, epochs=8, dropout=0.5)
    score, seats = _trained(config, data)
    model = seats._seats[""]._seats[0].model
    place.mkdir()
    save_file(model.state_dict(), place / "weights.safetensors")
    (place / "config.yaml").write_text(yaml.safe_dump(config))
    return place, data, score


@pytest.mark.slow
def test_the_student_of_a_teacher_beats_the_same_student_alone(taught):
    place, data, teacher = taught
    long = {"width": 32, "epochs": 60, "rate": 0.01}  # long enough to learn the wrong labels too
    alone, _ = _trained(_config(**long), data)
    student, _ = _trained(_config(**long, teacher=str(place), weight=1.0), data)
    assert student > alone + 0.1
    assert teacher > 0.8


def test_a_weight_of_0_is_the_student_alone_to_the_bit(taught):
    place, data, _ = taught
    alone, _ = _trained(_config(width=8, epochs=3), data)
    student, _ = _trained(_config(width=8, epochs=3, teacher=str(place), weight=0.0), data)
    assert student == alone


def test_the_teachers_part_is_hintons_divergence_and_squared_error():
    student = torch.tensor([[1.0, 2.0, 0.5]])
    teacher = torch.tensor([[0.0, 3.0, 1.0]])
    p, q = (torch.softmax(each / 2, dim=1) for each in (teacher, student))
    expected = 4 * (p * (p / q).log()).sum()
    part = Distillation(temperature=2.0, weight=1.0, classes=True).mixed(
        torch.tensor(9.0), student, teacher
    )
    assert float(part) == pytest.approx(float(expected), rel=1e-5)
    half = Distillation(temperature=1.0, weight=0.5, classes=False).mixed(
        torch.tensor(1.0), student, teacher
    )
    assert float(half) == pytest.approx(0.5 + 0.5 * float(((student - teacher) ** 2).mean()))
    single, pair = torch.tensor([[1.5]]), torch.tensor([[0.0, 1.5]])
    one = Distillation(temperature=1.0, weight=1.0, classes=True)
    both = [one.mixed(torch.zeros(()), each, 0.5 * each) for each in (single, pair)]
    assert float(both[0]) == pytest.approx(float(both[1]))
    with pytest.raises(
        ValueError, match=r"must have the teacher's shape \(1, 3\), but got \(1, 2\)"
    ):
        one.mixed(torch.zeros(()), pair, teacher)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0}, "distillation.temperature: must be a number above 0, but got 0"),
        ({"weight": 1.5}, "distillation.weight: must lie between 0 and 1, but got 1.5"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        read_distillation({"distillation": {"teacher": "best", **settings}}, classes=True)


def centred(config, data, device, weights):
    """A predict function that turns its rows and its config to its own use."""
    data.test.x[:] -= data.test.x.mean(axis=1, keepdims=True)
    config["model"]["width"] = 0
    return {"predictions": data.test.x[:, : config["model"]["inputs"]]}


def test_a_teacher_of_the_users_own_gets_its_features_and_changes_no_row(taught, tmp_path):
    place, data, _ = taught
    other = tmp_path / "best"
    shutil.copytree(place, other)
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["trainer"]["predict"] = f"{__name__}.centred"
    config["features"] = {"pca": {"_target_": "sklearn.decomposition.PCA", "n_components": 10}}
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    before = data.train.x.copy()
    taught_rows = with_teacher(
        _config(width=8, epochs=1, teacher=str(other)), data, device="cpu"
    ).train
    assert taught_rows.soft.shape == (600, 10)
    assert np.array_equal(taught_rows.x, before)


def test_a_teacher_that_is_none_is_refused_in_words(taught, tmp_path):
    place, data, _ = taught
    with pytest.raises(ValueError, match=r"must be best/ or best\.yaml of a finished search"):
        with_teacher(_config(width=8, epochs=1, teacher=str(tmp_path)), data, device="cpu")
    other = tmp_path / "best"
    shutil.copytree(place, other)
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["trainer"]["predict"] = None
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match="choose a search whose trainer has a predict function"):
        with_teacher(_config(width=8, epochs=1, teacher=str(other)), data, device="cpu")
    node = {"split": {"kind": "holdout"}, "distillation": {"teacher": str(tmp_path / "no")}}
    with raises("teacher-not-readable", str(tmp_path / "no")):
        check_teacher(OmegaConf.create(node), None)
    node["distillation"]["teacher"] = str(other)
    with raises("teacher-names-no-contract", "distillation.teacher"):
        check_teacher(OmegaConf.create(node), None)
    steps = Part(index=np.arange(2), x=np.zeros((2, 3)), y=np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(
        ValueError, match="needs rows with one answer each, but got an answer per step"
    ):
        with_teacher(
            _config(width=8, epochs=1, teacher=str(place)),
            Data(train=steps, val=steps),
            device="cpu",
        )


@pytest.mark.slow
def test_a_search_takes_its_teacher_from_another_and_refuses_one_of_another_contract(elsewhere):
    short = [
        "trainer.epochs=2",
        "seeds=1",
        *INLINE,
        "protocol.refine=0",
        "protocol.extend=0",
    ]
    assert search("smoke", *INLINE, "name=big", "model.width=64", cwd=elsewhere).returncode == 0
    words = ["distillation_sweep", "space.distillation.weight.points=2", *short]
    teacher = "distillation.teacher=results/big/best"
    done = search(*words, teacher, "model.width=8", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "results" / "distillation_sweep" / "teacher.json").exists()
    refused = search(*words, teacher, "split=kfold", "name=other", cwd=elsewhere)
    assert refused.returncode == 2, refused.stdout
    check_told(refused.stderr, "teacher-saw-validation", "split=kfold", "split=holdout")
    assert not (elsewhere / "results" / "other").exists()
    for change, message in (
        ("data=breast_cancer", ("contract-differs", "data.fingerprint")),
        ("split.seed=5", ("contract-differs", "split.hash")),
        ("normalise=minmax", ("teacher-differs", "normalise", "MinMaxScaler")),
    ):
        config = compose_experiment(
            words[0], overrides=[*words[1:], teacher, change], config_dir=None
        )
        contract = prepare(config, metric=ACCURACY).contract
        with raises(*message):
            check_teacher(config, contract)


def test_a_teacher_that_changed_since_the_search_began_is_refused(tmp_path):
    folder = Folder(tmp_path)
    record_teacher(folder, "")
    record_teacher(folder, "a" * 64)
    record_teacher(folder, "a" * 64)
    with raises("teacher-was-exchanged"):
        record_teacher(folder, "b" * 64)
    assert check_teacher(OmegaConf.create({"distillation": {"teacher": None}}), None) == ""
