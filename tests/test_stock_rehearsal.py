"""What the stock trainer's rehearsal finds before a name or a trial is used up."""

import pytest
from company import config_of

from trainers.rehearsal import rehearse

SHAPE = (64, 10, "classification")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("Pair", r"the forward of Pair must return one tensor, but got tuple; return the logits"),
        ("Named", r"the forward of Named must return one tensor, but got dict; return the logits"),
        ("Deep", r"the forward of Deep must return one row of logits per row of data, \[rows, classes\], but got shape \[4, 10, 1\]; reshape"),
        ("Lazy", r"Lazy must have its parameters from the start, but got first\.weight, which is lazy"),
        ("Complex", r"Complex must have real parameters, but got phase of torch\.complex64; hold"),
        ("Thick", r"model\._target_: 'odd\.Thick' must be a class that takes the keys of model, but got TypeError: .*unexpected keyword argument 'inputs'; it takes features, units; give its own arguments: model\._target_=odd\.Thick model\.features=… model\.units=…"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_train_is_named_with_its_remedy(model, message):
    with pytest.raises(TypeError, match=message):
        rehearse(config_of(model=model), SHAPE)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("trainer.batch_size", "abc", r"trainer\.batch_size: must be a whole number of at least 1, but got 'abc'"),
        ("trainer.batch_size", 0, r"trainer\.batch_size: must be .* but got 0"),
        ("loss.label_smoothing", "abc", r"loss\._target_: 'torch\.nn\.CrossEntropyLoss' must train with outputs \(4, 10\) and targets \(4,\), but got TypeError"),
        ("model.depth", -1, r"model\.depth: must be a whole number of at least 0, but got -1"),
        ("model.width", 0.5, r"model\.width: must be a whole number of at least 1, but got 0\.5"),
        ("model.dropout", -0.1, r"model\.dropout: must lie between 0 and 1, but got -0\.1"),
        ("model.dropout", "abc", r"model\.dropout: must lie between 0 and 1, but got 'abc'"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_named(path, value, message):
    """Also where the value was not seen at the door, as a choice's or a caller's own."""
    config = config_of()
    group, key = path.split(".")
    config[group][key] = value
    with pytest.raises((TypeError, ValueError), match=message):
        rehearse(config, SHAPE)


def test_an_optimizer_that_needs_a_closure_is_named():
    words = ["~optimizer.momentum", "~optimizer.weight_decay"]
    config = config_of("optimizer._target_=torch.optim.LBFGS", *words)
    message = r"optimizer\._target_: 'torch\.optim\.LBFGS' must train with .*closure"
    with pytest.raises((TypeError, ValueError), match=message):
        rehearse(config, SHAPE)


@pytest.mark.parametrize("model", ["Bare", "Deep"])
def test_numbers_that_the_loss_would_broadcast_are_named(model):
    config = config_of("loss=mse", model=model)
    with pytest.raises(TypeError, match=r"numbers of the targets' shape, \[4, 10\], but got shape"):
        rehearse(config, (64, 10, "regression"))


@pytest.mark.parametrize("model", ["Two", "Tied", "Chosen", "Recurrent", "Unsaved"])
def test_an_ordinary_model_passes(model):
    assert rehearse(config_of(model=model), SHAPE) is not None


def test_a_model_of_rows_of_another_shape_is_left_to_the_first_trial():
    assert rehearse(config_of(model="Two"), (63, 10, "classification")) is None
