"""Which part a knob plays in a training, whatever it is called: the rate, a penalty, a size.

The user says it (`acts_as` of the knob), else the last word of its path tells it, as far as its
values fit. A part is the path that the stock trainer has for it.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from search.config.knobs import RATES, Knob, plain_name

RATE, EPOCHS = "optimizer.lr", "trainer.epochs"
NONE = "none"  # what `acts_as` says of a knob that plays no part, whatever its name is
ANY = (-math.inf, math.inf)
SHARE, POSITIVE, COUNT = (0.0, 1.0), (0.0, math.inf), (1.0, math.inf)
# Of each part: between which its values lie, None where they may be words; the names it goes by. A
# name that means two things is none: `decay` may be the rate's, `max_norm` the gradient's.
_NAMED: dict[str, tuple[tuple[float, float] | None, str]] = {
    RATE: (POSITIVE, ""),  # its names are `RATES`
    EPOCHS: (COUNT, "epochs n_epochs num_epochs max_epochs"),
    "trainer.batch_size": (COUNT, "batch_size batch bs bsz batchsize minibatch minibatch_size "
                           "train_batch_size"),
    "optimizer.weight_decay": (POSITIVE, "weight_decay wd wdecay l2 l2_reg reg_l2 lambda_l2 "
                               "l2_penalty l2_lambda reg_lambda reg lamda"),
    "trainer.l1": (POSITIVE, "l1 l1_reg reg_l1 lambda_l1 l1_penalty l1_lambda reg_alpha"),
    "model.dropout": (SHARE, "dropout drop dropout_p p_dropout p_drop drop_p pdrop dropout_rate "
                      "dropout_prob drop_rate drop_prob"),
    "loss.label_smoothing": (SHARE, "label_smoothing label_smooth smoothing"),
    "trainer.clip": (POSITIVE, "clip clip_norm grad_clip max_grad_norm gradient_clip clip_grad "
                     "clip_grad_norm grad_clip_norm gradient_clip_val"),
    "trainer.max_norm": (POSITIVE, ""),
    "trainer.flood": (POSITIVE, "flood flooding flood_level"),
    "trainer.balance": (ANY, "balance pos_weight"),
    "model.width": (POSITIVE, "width hidden hidden_dim hidden_size hidden_units n_hidden nhid "
        "num_hidden hid_dim units n_units num_units d_model channels n_channels num_channels "
        "filters n_filters num_filters n_factors num_factors factors latent_dim emb_dim embed_dim "
        "embedding_dim emsize emb_size embed_size embedding_size"),
    "model.depth": (COUNT, "depth layers n_layers nlayers num_layers hidden_layers "
                    "n_hidden_layers n_blocks num_blocks"),
    "optimizer.momentum": (SHARE, "momentum"),
    "schedule.warmup": (POSITIVE, "warmup warmup_steps warmup_epochs n_warmup warmup_ratio"),
    "model.activation": (None, "activation act act_fn activation_fn nonlinearity"),
    "model.norm": (None, "norm norm_layer normalization use_bn batchnorm batch_norm"),
    "model.init": (None, "init weight_init initializer init_method init_scale init_std init_gain"),
    "model.residual": (None, "residual use_residual skip_connections"),
    "optimizer": (None, "optimizer optim opt solver"),
    "schedule": (None, "schedule scheduler lr_schedule lr_scheduler sched"),
    "augment": (None, "augment augmentation aug use_augmentation"),
}  # fmt: skip
PARTS = {part.rpartition(".")[2]: part for part in _NAMED}
_BY_NAME = {name: part for part, (_, names) in _NAMED.items() for name in names.split()}
# What a longer name may end with, such as `encoder_dropout`. Not `momentum`, which batch norm has
# too, nor `epochs`, which a warm-up has.
_ENDS = (
    *("dropout", "pdrop", "dropout_rate", "dropout_prob", "drop_rate", "drop_prob"),
    *("weight_decay", "hidden_dim", "hidden_size", "num_layers", "n_layers"),
)


def parts_of(knobs: Iterable[Knob], *, rate: str | None = None) -> dict[str, str]:
    """By path, the part of each knob that is not called as the stock trainer calls it; empty where
    the user says that it plays none. `rate`: the path that he calls the learning rate.
    """
    about = [knob for knob in knobs if not knob.nuisance]
    said = {knob.path: PARTS.get(knob.acts_as, "") for knob in about if knob.acts_as}
    if rate is None and RATE not in said.values():
        rate = _rate_of([knob.path for knob in about if said.get(knob.path) is None])
    parts = {} if rate is None else {rate: RATE}
    for knob in about:
        part = said.get(knob.path)
        if part is None and knob.path not in _NAMED:
            part = _by_name(knob)
        if part is not None and knob.path not in parts:
            parts[knob.path] = part
    return parts


def rate_among(parts: Mapping[str, str]) -> str:
    """The path of the learning rate."""
    return next((path for path, part in parts.items() if part == RATE), RATE)


def _rate_of(paths: Sequence[str]) -> str | None:
    """The path that is called a learning rate (`my.lr`), or is the only one whose name ends so
    (`head_lr`); None where the stock trainer's own is among them, or none is.
    """
    names = {path: plain_name(path) for path in paths}
    called = [path for path, name in names.items() if name in RATES]
    ends = [path for path, name in names.items() if name.endswith(tuple(f"_{n}" for n in RATES))]
    if RATE in paths or not (called or len(ends) == 1):
        return None
    return (called or ends)[0]


def _by_name(knob: Knob) -> str | None:
    """The part by the last word of a path, `numLayers` as `num_layers` and `dropout_2` as
    `dropout`; None where no name fits, or the values do not.
    """
    name = plain_name(knob.path)
    short = re.sub(r"_?\d+$", "", name)
    ends = (end for end in _ENDS if short.endswith(f"_{end}"))
    part = _BY_NAME.get(name) or _BY_NAME.get(short) or _BY_NAME.get(next(ends, ""))
    if part is None or (limits := _NAMED[part][0]) is None:
        return part
    values = [value for value in knob.choices or knob.ends if value is not None]
    numbers = [float(value) for value in values if isinstance(value, int | float)]  # false is 0
    fit = len(numbers) == len(values) and limits[0] <= min(numbers) and max(numbers) <= limits[1]
    return part if fit else None


def words_of(parts: Mapping[str, str]) -> list[str]:
    """`my.wd=weight_decay` and so on, as the config holds them; `read_words` reads them."""
    return [f"{path}={part.rpartition('.')[2] or NONE}" for path, part in parts.items()]


def own_parts(config: DictConfig) -> dict[str, str]:
    """By path, the part of each knob that the stock trainer calls otherwise; none but in `tune`."""
    return read_words(OmegaConf.select(config, "protocol.parts") or ())


def read_words(words: Iterable[str]) -> dict[str, str]:
    """By path, the part of each word."""
    return {path: PARTS.get(part, "") for path, _, part in (each.rpartition("=") for each in words)}
