"""What cannot be right is refused at the door: by its text, with exit 2, and with nothing written."""

import numpy as np
import pytest
from refusals import check_told

from search.__main__ import main
from search.config.catalogue import CONF

FILES = {
    "empty.csv": "",
    "text.csv": "a,label\n1,x\nx,y\n",
    "twice.csv": "a,a,label\n1,2,3\n",
    "hole.csv": "a,label\n1,x\n2,\n",
    "nan.csv": "a,label\n1,x\n,y\n",
    "one.csv": "a,label\n1,x\n2,x\n",
    "few.csv": "a,label\n1,x\n2,y\n3,x\n4,y\n",
    "own/space/twice.yaml": "optimizer:\n  lr: {low: 1e-3, high: 1.0, scale: log}\n  lr: {low: 1e-4, high: 1.0, scale: log}\n",
    "own/space/dotted.yaml": "optimizer:\n  lr: {low: 1e-3, high: 1.0, scale: log}\noptimizer.lr: {low: 1e-4, high: 1.0, scale: log}\n",
    "half.yaml": "name: x\nseed: 0\n",
    "list.yaml": "- 1\n",
    "torn.yaml": "a: [1\n",
}


@pytest.fixture
def files(elsewhere, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for name, text in FILES.items():
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / name).write_text(text)
    for name, rows in {"a": [2, 3], "b": [3, 4], "far": [9999]}.items():
        np.save(elsewhere / f"{name}.npy", np.array(rows))
    return elsewhere


# In one process: some of them start a server of forks, which imports torch.
@pytest.mark.xdist_group("refusals")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lr_sweep", "budget_trials=5"], ("budget-trials-without-protocol", "budget_trials")),
        (["joint", "budget_trials=5"], ("budget-trials-without-protocol", "budget_trials", "n_trials=5")),
        (["lr_swep"], ("unknown-experiment-or-verb", "'lr_swep'", "'lr_sweep'")),
        (["tabel", "x"], ("unknown-experiment-or-verb", "'tabel'", "'table'")),
        (["lr_sweep", "--config-dir", "own", "space=twice"], ("config-cannot-be-composed", "lr_sweep")),
        (["lr_sweep", "--config-dir", "own", "space=dotted"], ("two-knobs-of-one-path", "space.optimizer.lr")),
        (["joint", "sampler=tp"], ("unknown-option-of-group", "'tp'", "'tpe'")),
        (["lr_sweep", "model=mine.Net"], ("import-path-as-option", "lr_sweep", "mine.Net", "model._target_=mine.Net")),
        (["lr_sweep", "data=my.csv"], ("data-file-as-option", "lr_sweep", "data=csv data.path=my.csv")),
        (["tune", "data=rows/My.CSV"], ("data-file-as-option", "data=csv data.path=rows/My.CSV")),
        (["lr_sweep", "data=my.npz"], ("data-file-as-option", "data=npz data.path=my.npz")),
        (["lr_sweep", "data=own", "data._target_=mine.load"], ("config-does-not-resolve", "'data.inputs'", "data=own", "data._target_")),
        (["lr_sweep", "metric=f2"], ("unknown-option-of-group", "'f2'")),
        (["lr_sweep", "split=half"], ("unknown-option-of-group", "'half'")),
        (["lr_sweep", "data=mnist1"], ("unknown-option-of-group", "'mnist1'", "'mnist1d'? there are 15, listed by", "help lr_sweep")),
        (["lr_sweep", "space.model.width=3", "nonsense=1"], ("unknown-key", "'space.model'", "space.optimizer")),
        (["lr_sweep", "space=lrr"], ("unknown-option-of-group", "'lrr'", "'lr'")),
        (["joint", "space=[lr,lrr]"], ("unknown-option-of-group", "'lrr'", "'lr'")),
        (["lr_sweep", "~modle"], ("unknown-key", "'modle'", "'model'? there are 36, listed by", "help lr_sweep")),
        (["lr_sweep", "data=csv", "data.pth=few.csv"], ("unknown-key", "'data.pth'", "'data.path'", "+data.pth")),
        (["lr_sweep", "data=csv", "trainer.epohcs=3"], ("unknown-key", "'trainer.epohcs'", "'trainer.epochs'")),
        (["lr_sweep", "dta.path=few.csv"], ("unknown-key", "'dta'", "'data'")),
        (["lr_sweep", "+data=csv"], ("key-is-there-already",)),
        (["lr_sweep", "+trainer.epochs=3"], ("key-is-there-already", "trainer.epochs")),
        (["lr_sweep", "space.optimizer.lr.scale=null"], ("unknown-choice", "space.optimizer.lr.scale")),
        (["lr_sweep", "space.optimizer.lr.low=0"], ("log-scale-needs-positive", "space.optimizer.lr", "low=0")),
        (["lr_sweep", "space.optimizer.lr.low=-inf"], ("wrong-type-or-range", "space.optimizer.lr.low", "1e+100")),
        (["lr_sweep", "space.optimizer.lr.high=2.0", "space.optimizer.lr.max=1"], ("range-beyond-hard-limits", "1e-08", "low=0.0001", "high=2")),
        (["lr_sweep", "space.optimizer.lr.points=1"], ("wrong-type-or-range", "space.optimizer.lr.points", "at least 2")),
        (["lr_sweep", "+space.optimizer.lr.step=1"], ("knob-has-strange-keys", "space.optimizer.lr")),
        (["lr_sweep", "space.optimizer.lr.group=speed"], ("unknown-choice", "space.optimizer.lr.group", "'speed'")),
        (["lr_sweep", "~space.optimizer", "+space.model.width={choices: []}"], ("choices-not-different", "space.model.width")),
        (["lr_sweep", "~space.optimizer", "+space.model.width={choices: [8, 8.0]}"], ("choices-not-different",)),
        (["lr_sweep", "~space.optimizer", "+space.trainer.clip={choices: [None, 1]}"], ("choice-of-bare-none", "null")),
        (["lr_sweep", "~space.optimizer", "+space.model.width={choices: [[1], [2]]}"], ("choice-not-plain", "got [1]", "'[1]'")),
        (["lr_sweep", "~space.optimizer", "+space.model.width={low: 8}"], ("range-lacks-an-end", "space.model.width")),
        (["lr_sweep", "~space.optimizer", "space.model.width=interval(9,1)"], ("range-holds-no-value", "space.model.width", "low=9", "high=1")),
        (["lr_sweep", "~space.optimizer", "space.model.width=choise(1,2)"], ("domain-not-understood", "space.model.width", "'choise(1,2)'")),
        (["lr_sweep", "~space.optimizer", "space.split.seed=range(0,3)"], ("knob-has-no-effect", "space.split.seed", "split.seed")),
        pytest.param(["lr_sweep", "~space.optimizer", "space.trainer.patience=range(1,9)"], ("knob-trains-alike", "space.trainer.patience"), marks=pytest.mark.slow),
        (["lr_sweep", "metric=mse"], ("metric-does-not-fit-task", "metric=accuracy", "loss=cross_entropy")),
        (["lr_sweep", "data=diabetes", "metric=accuracy"], ("metric-does-not-fit-task", "r2", "metric=mse", "loss=mse")),
        (["lr_sweep", "data=diabetes", "loss=cross_entropy"], ("loss-does-not-fit-task", "torch.nn.MSELoss", "torch.nn.CrossEntropyLoss", "loss=mse")),
        (["lr_sweep", "metric=composite", "metric.formula=accuracy-mse", "metric.direction=maximize"], ("metric-does-not-fit-task",)),
        (["lr_sweep", "metric=composite", "metric.formula='__import__(accuracy)'", "metric.direction=maximize"], ("formula-of-unknown-function", "metric.formula", "'__import__'")),
        pytest.param(["lr_sweep", "metric=own", "metric.name=mine", "metric.direction=maximize", "metric._target_=nowhere.mine"], ("dry-run-failed", "metric._target_", "'nowhere.mine'", "'nowhere'"), marks=pytest.mark.slow),
        (["lr_sweep", "split.test=1.5"], ("share-not-between-0-and-1", "split.test", "1.5")),
        (["lr_sweep", "split.test=some"], ("share-not-between-0-and-1", "split.test", "'some'")),
        (["lr_sweep", "split=kfold", "split.folds=300"], ("fold-lacks-a-class", "split.folds", "300", "122")),
        (["lr_sweep", "split=grouped"], ("grouped-split-needs-groups", "split.kind", "split=grouped", "data.groups")),
        (["lr_sweep", "split=predefined"], ("no-set-is-given", "split.test")),
        (["lr_sweep", "split=predefined", "split.test=a.npy", "split.val=b.npy"], ("row-in-two-sets", "split.val")),
        (["lr_sweep", "split=predefined", "split.test=far.npy"], ("row-number-outside-data", "split.test", "1796", "9999")),
        (["lr_sweep", "data._target_=toys.secret", "data.inputs=3", "data.outputs=2", "split=kfold"], ("given-set-ignored-by-split", "split.kind", "'kfold'", "split=predefined")),
        (["lr_sweep", "data.inputs=63"], ("shape-differs-from-rows", "data.inputs", "64", "63")),
        (["lr_sweep", "data.task=guessing"], ("unknown-choice", "data.task", "'guessing'")),
        (["lr_sweep", "data=csv"], ("key-without-value", "data.path=…", "data.target=…", "data.task=…", "classification", "regression")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=text.csv", "data.separator="], ("data-cannot-be-read", "'data.separator=;'")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=no.csv"], ("data-cannot-be-read", "data.path", "no.csv")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=empty.csv"], ("data-cannot-be-read", "empty.csv", ".csv")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=text.csv"], ("data-cannot-be-read", "text.csv", "'a'", "data.categorical")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=twice.csv"], ("data-cannot-be-read", "twice.csv", "'a'")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=hole.csv"], ("data-cannot-be-read", "hole.csv")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=nan.csv"], ("data-not-finite", "data.impute=mean")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=one.csv"], ("needs-two-classes", "'x'")),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=few.csv"], ("set-lacks-a-class", "split.val", "'x'")),
        (["lr_sweep", "data=npz", "data.task=regression", "data.path=few.csv"], ("data-cannot-be-read", "few.csv", ".npz")),
        (["lr_sweep", "data._target_=os.getcwd", "data.inputs=1", "data.outputs=1"], ("data-not-a-dataset", "data._target_", "trainers.data.DataSet")),
        (["lr_sweep", "normalise._target_=sklearn.preprocessing.Scaler"], ("scaler-cannot-be-fitted", "normalise._target_")),
        (["own_trainer", "data.rows=many"], ("own-rows-not-counted", "data.rows", "'many'")),
        (["own_trainer", "data.labels=few.csv"], ("labels-not-npy", "data.labels", ".npy")),
        (["own_trainer", "data.files=[nowhere]"], ("data-file-not-readable", "data.files")),
        (["own_trainer", "trainer._target_=nowhere.train"], ("dry-run-failed", "trainer._target_", "'nowhere.train'", "'nowhere'")),
        (["lr_sweep", "optimizer=own"], ("unknown-option-of-group", "'own'")),
        pytest.param(["lr_sweep", "+optimizer.nesterof=1"], ("dry-run-failed", "optimizer._target_", "'torch.optim.SGD'"), marks=pytest.mark.slow),
        (["lr_sweep", "placement.gpus=[7]"], ("gpu-not-visible", "placement.gpus")),
        (["train", "no.yaml"], ("config-not-found", "no.yaml")),
        (["train", "half.yaml"], ("config-lacks-groups", "half.yaml")),
        (["train", "list.yaml"], ("config-not-a-mapping", "list.yaml")),
        (["train", "torn.yaml"], ("config-not-valid-yaml", "torn.yaml")),
        (["lr_sweep", "optimizer.rate=1"], ("unknown-key", "lr_sweep", "'optimizer.rate'")),
        (["lr_sweep", "optimiser=adam"], ("unknown-key", "lr_sweep", "'optimiser'", "'optimizer'")),
        (["lr_sweep", "optimizer=adamx"], ("unknown-option-of-group", "'adamx'", "'adam'")),
        (["lr_sweep", "optimizer.lr=="], ("no-override", "'optimizer.lr=='")),
        (["compare", "x", "y"], ("unknown-experiment-or-verb", "'compare'", "'report'")),
        (["lr_sweep", "seed=1,2"], ("several-values-of-a-key", "seed", "1,2", "seeds=2")),
        (["joint", "space=lr,dropout"], ("several-values-of-a-key", "space=[lr,dropout]")),
        (["lr_sweep", "my.width=1,2"], ("several-values-of-a-key", "knob.my.width=choice(1,2)")),
        (["lr_sweep", "augment=noise,flip"], ("several-values-of-a-key", "knob.augment=choice(noise,flip)")),
        (["lr_sweep", "augment=[noise,flip]"], ("several-values-of-a-key", "knob.augment=choice(noise,flip)")),
        (["lr_sweep", "metric=[accuracy,f1]"], ("several-values-of-a-key", "metric=composite")),
        (["lr_sweep", "optimizer.lr=0.1,0.2"], ("several-values-of-a-key", "knob.optimizer.lr=choice(0.1,0.2)")),
        (["lr_sweep", "model.width=${nowhere}"], ("config-does-not-resolve", "'nowhere'")),
        (["lr_sweep", "trainer=command", "data=own", "data.rows=9"], ("config-does-not-resolve", "'data.inputs'", "data=own", "model=own")),
        (["lr_sweep", "trainer=own"], ("key-without-value", "lr_sweep", "trainer._target_")),
        (["own_trainer", "trainer._target_=toys.train", "data.rows=9", "+model.layers=[{width:???}]"], ("key-without-value", "model.layers")),
        (["lr_sweep", "name=a/b"], ("name-not-allowed", "'a/b'")),
        (["lr_sweep", "name=.."], ("name-not-allowed",)),
        (["lr_sweep", "name=-x"], ("name-not-allowed", "'-x'")),
        (["lr_sweep", "name=lanes.json"], ("name-not-allowed", "'lanes.json'")),
        (["lr_sweep", "name=1e5"], ("wrong-type-or-range", "100000.0", "'name=\"100000.0\"'")),
        (["lr_sweep", "seeds=0"], ("wrong-type-or-range",)),
        (["lr_sweep", "seeds=two"], ("wrong-type-or-range", "'two'")),
        (["lr_sweep", "seed=-1"], ("wrong-type-or-range", "-1")),
        (["lr_sweep", "trainer.epochs=0"], ("wrong-type-or-range", "trainer.epochs")),
        (["lr_sweep", "trainer.epochs=1.5"], ("wrong-type-or-range", "trainer.epochs", "1.5")),
        (["lr_sweep", "trainer.patience=0"], ("wrong-type-or-range", "trainer.patience")),
        (["lr_sweep", "trainer.timeout=-3"], ("wrong-type-or-range", "trainer.timeout", "-3")),
        (["lr_sweep", "trainer.epoch_timeout=null"], ("wrong-type-or-range", "trainer.epoch_timeout")),
        (["lr_sweep", "trainer.max_log_mb=0"], ("wrong-type-or-range", "trainer.max_log_mb")),
        (["lr_sweep", "placement.slots=many"], ("wrong-type-or-range", "placement.slots", "'many'")),
        (["lr_sweep", "placement.threads=0"], ("wrong-type-or-range", "placement.threads")),
        (["lr_sweep", "placement.slots_per_gpu=0"], ("wrong-type-or-range", "placement.slots_per_gpu")),
        (["lr_sweep", "placement._target_=no.Cloud"], ("placement-not-importable", "placement._target_", "'no.Cloud'", "placement=local")),
        (["lr_sweep", "placement._target_=threading.Thread"], ("placement-lacks-members", "threading.Thread", "without starts_early, rehearses, slots", "kill")),
        (["lr_sweep", "protocol.kind=dance"], ("unknown-choice", "protocol.kind", "'dance'")),
        (["lr_sweep", "keep=some"], ("unknown-choice", "'some'")),
        (["own_trainer", "metric.name=val_loss"], ("direction-of-another-metric", "metric.direction", "metric.name", "val_loss")),
        (["own_command", "metric.name=mse", "metric.direction=minimize"], ("metric-does-not-fit-task", "metric=accuracy", "data.task=regression")),
        (["own_command", "metric.name=mse", "metric.direction=maximize"], ("direction-against-metric", "mse", "metric.direction=minimize")),
        (["own_trainer", "metric.name=val_loss", "metric.direction=maximize"], ("direction-against-metric", "val_loss")),
        (["lr_sweep", "metric.direction=minimize"], ("direction-against-metric", "accuracy", "metric.direction=maximize")),
        (["tune", "hydra.run.dir=there"], ("hydra-starts-nothing-here", "hydra.run.dir", "name=NAME", "results_root=FOLDER")),
        (["own_trainer", "metric=mse"], ("metric-does-not-fit-task", "mse", "data.task=regression")),
        (["own_command", "metric.name=mse"], ("direction-of-another-metric", "metric.direction", "metric=mse")),
        (["lr_sweep", "metric.name=log_loss"], ("direction-of-another-metric", "metric.direction", "log_loss", "metric=log_loss")),
        (["lr_sweep", "metric=composite", "metric.formula=log_loss"], ("direction-of-another-metric", "metric.direction", "metric.direction=minimize")),
        (["lr_sweep", "metric.name=f2"], ("unknown-metric", "'f2'", "balanced_accuracy")),
        (["lr_sweep", "metric.direction=up"], ("unknown-choice", "metric.direction", "'up'")),
        (["lr_sweep", "metric=f1", "metric.average=none"], ("unknown-choice", "metric.average", "'none'")),
        (["lr_sweep", "split.seed=x"], ("wrong-type-or-range", "split.seed", "'x'")),
        (["lr_sweep", "~protocol.refine"], ("required-key-missing", "protocol.refine")),
        (["lr_sweep", "~space.optimizer"], ("sweep-turns-one-knob",)),
        (["lr_sweep", "space.model.width=range(1,9)"], ("sweep-turns-one-knob", "optimizer.lr", "model.width", "protocol=joint", "tune")),
        (["lr_sweep", "protocol=guide"], ("stage-of-unknown-knob", "'lr'", "search tune")),
        (["lr_sweep", "~space.optimizer", "space.model.widht=range(1,9)"], ("knob-not-a-key", "'model.widht'", "'model.width'", "model._target_")),
        (["lr_sweep", "~space.optimizer", "space.modle.width=range(1,9)"], ("knob-not-a-key", "space.modle.width")),
        (["joint", "space=[]", "+space.trainer.batch_size={choices: [16, 32], 16: {lr: {low: 1e-3, high: 1.0, scale: log}}}"], ("condition-on-plain-key", "trainer.batch_size")),
        (["own_trainer", "trainer._target_=x.train", "protocol=joint", "+kind=a", "+space.kind={choices: [a, b], a: {lr: {low: 1e-3, high: 1.0, scale: log}}}"], ("condition-on-plain-key", "kind")),
        (["lr_sweep", "optimizer.lr=fast"], ("wrong-type-or-range", "optimizer.lr", "'fast'")),
        (["lr_sweep", "space.optimizer.lr.low=2"], ("range-holds-no-value", "space.optimizer.lr", "low=2", "high=1")),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_and_nothing_is_written(words, message, files, capsys):
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    assert main(words) == 2
    check_told(capsys.readouterr().err, *message)
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before
    assert not (files / "results").exists()


def test_no_command_that_is_refused_lists_the_keys_of_an_experiment_of_ones_own(elsewhere, capsys):
    (elsewhere / "own" / "experiment").mkdir(parents=True)
    text = (CONF / "experiment" / "lr_sweep.yaml").read_text()
    (elsewhere / "own" / "experiment" / "mine.yaml").write_text(text)
    assert main(["mine", "trainer.batchsize=1", "--config-dir", "own"]) == 2
    told = capsys.readouterr().err
    check_told(told, "unknown-key", "'trainer.batch_size'", "there are:")
    assert "search help mine" not in told
