"""What cannot be right is refused at the door: by its text, with exit 2, and with nothing written."""

import re

import numpy as np
import pytest

from search.__main__ import main

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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lr_sweep", "budget_trials=5"], r"budget_trials: bounds the trials of a whole protocol, such as tune, but got a search of kind sweep; leave it out: the values and seeds= settle"),
        (["joint", "budget_trials=5"], r"budget_trials: bounds .* but got a search of kind joint; say n_trials=5"),
        (["lr_swep"], r"experiment or verb 'lr_swep' does not exist; did you mean 'lr_sweep'\? it is one of [0-9]+"),
        (["tabel", "x"], r"experiment or verb 'tabel' does not exist; did you mean 'table'"),
        (["lr_sweep", "--config-dir", "own", "space=twice"], r"lr_sweep: .*found duplicate key lr"),
        (["lr_sweep", "--config-dir", "own", "space=dotted"], r"space\.optimizer\.lr: a path has one knob, but got two; drop one of them"),
        (["joint", "sampler=tp"], r"joint: sampler option 'tp' does not exist; did you mean 'tpe'\? there are: auto, cmaes, gp, grid, qmc"),
        (["lr_sweep", "model=mine.Net"], r"lr_sweep: model: names a file of its group, but got the import path mine\.Net; say model\._target_=mine\.Net"),
        (["lr_sweep", "data=own", "data._target_=mine.load"], r"'data\.inputs' not found; data=own leaves the rows to your trainer; drop it beside data\._target_"),
        (["lr_sweep", "metric=f2"], r"metric option 'f2' does not exist; there are: accuracy, "),
        (["lr_sweep", "split=half"], r"split option 'half' does not exist; there are: grouped, holdout, kfold"),
        (["lr_sweep", "data=mnist1"], r"data option 'mnist1' does not exist; did you mean 'mnist(1d)?'\? there are: breast_cancer, cifar10, csv"),
        (["lr_sweep", "space.model.width=3", "nonsense=1"], r"key 'space\.model' does not exist; there are: space\.optimizer"),
        (["lr_sweep", "space=lrr"], r"space option 'lrr' does not exist; did you mean 'lr'\? there are: activation, "),
        (["joint", "space=[lr,lrr]"], r"joint: space option 'lrr' does not exist; did you mean 'lr'"),
        (["lr_sweep", "~modle"], r"key 'modle' does not exist; did you mean 'model'\? there are: accept_code, augment"),
        (["lr_sweep", "data=csv", "data.pth=few.csv"], r"key 'data\.pth' does not exist; did you mean 'data\.path'\?.*added with \+data\.pth=…"),
        (["lr_sweep", "data=csv", "trainer.epohcs=3"], r"key 'trainer\.epohcs' does not exist; did you mean 'trainer\.epochs'"),
        (["lr_sweep", "dta.path=few.csv"], r"key 'dta' does not exist; did you mean 'data'"),
        (["lr_sweep", "+data=csv"], r"data: a key that the config has needs no \+, but got \+data; say data=…"),
        (["lr_sweep", "+trainer.epochs=3"], r"trainer\.epochs: a key that the config has needs no \+"),
        (["lr_sweep", "space.optimizer.lr.scale=null"], r"space\.optimizer\.lr: `scale` must be log or linear; it is never implied, but got None; say scale: log"),
        (["lr_sweep", "space.optimizer.lr.low=0"], r"space\.optimizer\.lr: a log scale needs `low > 0`, but got low=0; raise it or say scale: linear"),
        (["lr_sweep", "space.optimizer.lr.low=-inf"], r"space\.optimizer\.lr: `low` must be a finite number within ±1e\+100, but got -inf"),
        (["lr_sweep", "space.optimizer.lr.high=2.0", "space.optimizer.lr.max=1"], r"the range must lie within its hard limits 1e-08 … 1, but got low=0\.0001, high=2; narrow it"),
        (["lr_sweep", "space.optimizer.lr.points=1"], r"space\.optimizer\.lr: `points` must be a whole number of at least 2, and at most 1000, but got 1"),
        (["lr_sweep", "+space.optimizer.lr.step=1"], r"space\.optimizer\.lr: a knob has the keys low, high, .* but got step; mend the key"),
        (["lr_sweep", "space.optimizer.lr.group=speed"], r"`group` is one of optimization, .* but got 'speed'; mend or leave it out"),
        (["lr_sweep", "~space.optimizer", "+space.model.width={choices: []}"], r"space\.model\.width: `choices` needs at least two different values, but got \[\]"),
        (["lr_sweep", "~space.optimizer", "+space.model.width={choices: [8, 8.0]}"], r"`choices` needs at least two different values"),
        (["lr_sweep", "~space.optimizer", "+space.model.width={choices: [[1], [2]]}"], r"a choice is a finite number, a string, true, false or null, but got \[1\]"),
        (["lr_sweep", "~space.optimizer", "+space.model.width={low: 8}"], r"space\.model\.width: `low` and `high` belong together, but got .*; give both"),
        (["lr_sweep", "~space.optimizer", "space.model.width=interval(9,1)"], r"space\.model\.width: `low < high` must hold, but got low=9, high=1; swap them"),
        (["lr_sweep", "~space.optimizer", "space.model.width=choise(1,2)"], r"space\.model\.width: a knob's string is interval\(a, b\), .* but got 'choise\(1,2\)'"),
        (["lr_sweep", "~space.optimizer", "space.split.seed=range(0,3)"], r"space\.split\.seed: a knob must have an effect on the training, but got split\.seed, which no trainer sees"),
        pytest.param(["lr_sweep", "~space.optimizer", "space.trainer.patience=range(1,9)"], r"space\.trainer\.patience: a knob must have an effect, but got one and the same training at all of its values", marks=pytest.mark.slow),
        (["lr_sweep", "metric=mse"], r"metric: a metric of classification is one of accuracy, .* but got mse; say metric=accuracy loss=cross_entropy, or another of these"),
        (["lr_sweep", "data=diabetes", "metric=accuracy"], r"metric: a metric of regression is one of mse, mae, r2, but got accuracy; say metric=mse loss=mse, or another of these"),
        (["lr_sweep", "data=diabetes", "loss=cross_entropy"], r"loss: a loss of regression is such as torch\.nn\.MSELoss, .* but got torch\.nn\.CrossEntropyLoss; say loss=mse, or another of these"),
        (["lr_sweep", "metric=composite", "metric.formula=accuracy-mse", "metric.direction=maximize"], r"metric: a metric of classification is one of .* but got accuracy-mse"),
        (["lr_sweep", "metric=composite", "metric.formula='__import__(accuracy)'", "metric.direction=maximize"], r"metric\.formula: function '__import__' does not exist; "),
        pytest.param(["lr_sweep", "metric=own", "metric.name=mine", "metric.direction=maximize", "metric._target_=nowhere.mine"], r"metric\._target_: 'nowhere\.mine' cannot be imported: No module named 'nowhere'", marks=pytest.mark.slow),
        (["lr_sweep", "split.test=1.5"], r"split\.test: a share lies between 0 and 1, but got 1\.5"),
        (["lr_sweep", "split.test=some"], r"split\.test: a share lies between 0 and 1, but got 'some'"),
        (["lr_sweep", "split=kfold", "split.folds=300"], r"split\.folds: every fold needs a row of every class, but got 300 folds, and 122 of class 8 among the rows that are not in test; say split\.folds=122"),
        (["lr_sweep", "split=grouped"], r"split\.kind: split=grouped needs a group per row, but got none; name the column: data\.groups="),
        (["lr_sweep", "split=predefined"], r"split\.test: `given` means a test set that came with the data, but got none; give a file or a share"),
        (["lr_sweep", "split=predefined", "split.test=a.npy", "split.val=b.npy"], r"split\.val: no row is in two sets, but got row 3 in test and validation; mend the files"),
        (["lr_sweep", "split=predefined", "split.test=far.npy"], r"split\.test: rows are numbered from 0 to 1796, but got 9999 in far\.npy"),
        pytest.param(["lr_sweep", "data=mnist1d", "split=kfold"], r"split\.kind: these data came with their own test set, which counts, but got 'kfold'; say split=predefined", marks=pytest.mark.slow),
        (["lr_sweep", "data.inputs=63"], r"data\.inputs: must be 64, as in the rows, but got 63; say data\.inputs=64"),
        (["lr_sweep", "data.task=guessing"], r"task 'guessing' does not exist; .*there are: classification, regression"),
        (["lr_sweep", "data=csv"], r"every key needs a value, but got \?\?\? for data\.path, data\.target, data\.task; say data\.path="),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=no.csv"], r"data\.path: must be a file, but got no\.csv, where there is none; mend the path"),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=empty.csv"], r"empty\.csv: must be a readable \.csv table, but got No columns to parse"),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=text.csv"], r"text\.csv: column 'a': a column is numeric unless data\.categorical names it, but got 'x' in row 1"),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=twice.csv"], r"twice\.csv: a column's name stands once, but got 'a' twice"),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=hole.csv"], r"hole\.csv: every row needs its target, but got none in row 1"),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=nan.csv"], r"data: x: must be finite, but got NaN or inf in 1 rows, first in row 1, in a; drop them or say data\.impute=mean"),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=one.csv"], r"data: y: classification needs at least two classes, but got only the class 'x'"),
        (["lr_sweep", "data=csv", "data.task=classification", "data.target=label", "data.path=few.csv"], r"split\.val: each set needs rows of every class, but got 1 of class 'x' among the 2 rows"),
        (["lr_sweep", "data=npz", "data.task=regression", "data.path=few.csv"], r"few\.csv: must be an \.npz file without pickles"),
        (["lr_sweep", "data._target_=os.getcwd", "data.inputs=1", "data.outputs=1"], r"data\._target_: must return trainers\.data\.DataSet, but got str"),
        (["lr_sweep", "normalise._target_=sklearn.preprocessing.Scaler"], r"normalise\._target_: must name a scaler with fit and transform, "),
        (["own_trainer", "data.rows=many"], r"data\.rows: must be a whole number of at least 3, but got 'many'; count your rows"),
        (["own_trainer", "data.labels=few.csv"], r"data\.labels: must be a \.npy file, but got "),
        (["own_trainer", "data.files=[nowhere]"], r"data\.files: must be readable, but got .*No such file"),
        (["own_trainer", "trainer._target_=nowhere.train"], r"trainer\._target_: 'nowhere\.train' cannot be imported: No module named 'nowhere'"),
        (["lr_sweep", "optimizer=own"], r"optimizer option 'own' does not exist"),
        pytest.param(["lr_sweep", "+optimizer.nesterof=1"], r"optimizer\._target_: 'torch\.optim\.SGD' must be a class that takes the keys of optimizer, but got TypeError", marks=pytest.mark.slow),
        (["lr_sweep", "placement.gpus=[7]"], r"placement\.gpus: must be among the visible GPUs \(none\), but got 7; name visible ones"),
        (["train", "no.yaml"], r"no\.yaml: must be a file, but got nothing there; mend the path"),
        (["train", "half.yaml"], r"half\.yaml: every group of a config must be there, but got none of data, .*; export it by python -m search export"),
        (["train", "list.yaml"], r"list\.yaml: must hold a mapping, but got ListConfig; give a config"),
        (["train", "torn.yaml"], r"torn\.yaml: must be (valid|readable) YAML, but got "),
        (["lr_sweep", "optimizer.rate=1"], r"lr_sweep: key 'optimizer.rate' does not exist; .*there are: optimizer"),
        (["lr_sweep", "optimiser=adam"], r"lr_sweep: key 'optimiser' does not exist; did you mean 'optimizer'"),
        (["lr_sweep", "optimizer=adamx"], r"optimizer option 'adamx' does not exist; did you mean 'adam'\? there are: adabound, .*swats"),
        (["lr_sweep", "optimizer.lr=="], r"Error parsing override 'optimizer.lr=='"),
        (["lr_sweep", "seeds=1,2"], r"Ambiguous value for argument 'seeds=1,2'"),
        (["lr_sweep", "model.width=${nowhere}"], r"Interpolation key 'nowhere' not found"),
        (["lr_sweep", "trainer=command", "data=own", "data.rows=9"], r"Interpolation key 'data\.inputs' not found; data=own has no such key, so say model=own"),
        (["lr_sweep", "trainer=own"], r"lr_sweep: every key needs a value, but got \?\?\? for trainer\._target_; say trainer\._target_=…"),
        (["lr_sweep", "name=a/b"], r"name: letters, digits and \. _ \+ - make a name, but got 'a/b'; give another name="),
        (["lr_sweep", "name=.."], r"name: letters, digits"),
        (["lr_sweep", "name=1e5"], r"name: must be a text, but got 100000\.0; write it as a text: 'name=\"…\"'"),
        (["lr_sweep", "seeds=0"], r"seeds: must be a whole number of at least 1, but got 0; mend it"),
        (["lr_sweep", "seeds=two"], r"seeds: must be a whole number of at least 1, but got 'two'"),
        (["lr_sweep", "seed=-1"], r"seed: must be a whole number of at least 0, but got -1"),
        (["lr_sweep", "trainer.epochs=0"], r"trainer\.epochs: must be a whole number of at least 1, but got 0"),
        (["lr_sweep", "trainer.epochs=1.5"], r"trainer\.epochs: must be a whole number of at least 1, but got 1\.5"),
        (["lr_sweep", "trainer.patience=0"], r"trainer\.patience: must be a whole number of at least 1, but got 0"),
        (["lr_sweep", "trainer.timeout=-3"], r"trainer\.timeout: must be a number above 0, but got -3"),
        (["lr_sweep", "trainer.epoch_timeout=null"], r"trainer\.epoch_timeout: must be a number above 0, but got None"),
        (["lr_sweep", "trainer.max_log_mb=0"], r"trainer\.max_log_mb: must be a number above 0, but got 0"),
        (["lr_sweep", "placement.slots=many"], r"placement\.slots: must be a whole number of at least 1, but got 'many'"),
        (["lr_sweep", "placement.threads=0"], r"placement\.threads: must be a whole number of at least 1, but got 0"),
        (["lr_sweep", "placement.slots_per_gpu=0"], r"placement\.slots_per_gpu: must be a whole number of at least 1"),
        (["lr_sweep", "placement._target_=no.Cloud"], r"placement\._target_: must name a class of placements, but got 'no\.Cloud': .*; choose placement=local, inline, ray or dask"),
        (["lr_sweep", "protocol.kind=dance"], r"protocol\.kind 'dance' does not exist; there are: joint, sweep, train"),
        (["lr_sweep", "keep=some"], r"keep 'some' does not exist; there are: all, best"),
        (["own_trainer", "metric.name=val_loss"], r"metric\.direction: belongs to metric\.name, and none is set for val_loss, but got maximize, which is of another metric; say metric\.direction=minimize or"),
        (["own_command", "metric.name=mse", "metric.direction=minimize"], r"got mse; say metric=accuracy, or another of these; data\.task=regression if that is the task"),
        (["own_command", "metric.name=mse"], r"metric\.direction: .* for mse, but got maximize, which is of another metric; say metric=mse"),
        (["lr_sweep", "metric.name=log_loss"], r"metric\.direction: .* for log_loss, but got maximize, .*; say metric=log_loss"),
        (["lr_sweep", "metric=composite", "metric.formula=log_loss"], r"metric\.direction: .* but got maximize, which is of another metric; say metric\.direction=minimize or"),
        (["lr_sweep", "metric.name=f2"], r"metric 'f2' does not exist; .*there are: accuracy, balanced_accuracy"),
        (["lr_sweep", "metric.direction=up"], r"metric\.direction: must be maximize or minimize, but got 'up'"),
        (["lr_sweep", "~space.optimizer"], r"space: a sweep turns one knob at a time \(R28\), but got none; choose a space with one knob"),
        (["lr_sweep", "space.model.width=range(1,9)"], r"a sweep turns one knob at a time \(R28\), but got optimizer\.lr, model\.width; choose a space with one knob, or search many at once by protocol=joint"),
        (["lr_sweep", "~space.optimizer", "space.model.widht=range(1,9)"], r"key 'model\.widht' does not exist; did you mean 'model\.width'\? there are: model\._target_"),
        (["lr_sweep", "~space.optimizer", "space.modle.width=range(1,9)"], r"space\.modle\.width: a knob's path must be a key of the config"),
        (["lr_sweep", "optimizer.lr=fast"], r"optimizer\.lr: must be a number of at least 0, but got 'fast'"),
        (["lr_sweep", "space.optimizer.lr.low=2"], r"space\.optimizer\.lr: `low < high` must hold, but got low=2, high=1; swap them"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_and_nothing_is_written(words, message, files, capsys):
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    assert main(words) == 2
    assert re.search(message, capsys.readouterr().err, re.DOTALL)
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before
    assert not (files / "results").exists()
