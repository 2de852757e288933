"""Ways to train of other kinds than the range test was made with: losses, penalties, optimizers, layers, scales, sizes of a batch; each with its table."""

# Each once.
SINGLE = {
    "huber, adam": ("friedman 3", ["loss=huber", "optimizer=adam"]),
    "huber of 0.1, sgd": ("heavy targets", ["loss=huber", "loss.delta=0.1"]),
    "absolute error, nesterov": ("four of ten", ["loss._target_=torch.nn.L1Loss", "optimizer=nesterov"]),
    "focal, sgd": ("few digits", ["loss=focal"]),
    "smoothed labels, adam": ("few digits", ["loss.label_smoothing=0.2", "optimizer=adam"]),
    "l1 penalty, adam": ("topics", ["trainer.l1=0.001", "optimizer=adam"]),
    "adadelta": ("blobs", ["optimizer=adadelta"]),
    "adabound": ("few digits", ["optimizer=adabound"]),
    "swats": ("few biopsies", ["optimizer=swats"]),
    "8 residual layers, sgd": ("friedman 2", ["model=mlp_residual", "model.depth=8"]),
    "8 residual layers, adamw": ("shells", ["model=mlp_residual", "model.depth=8", "optimizer=adamw"]),
    "cnn2d, sgd": ("few digits", ["model=cnn2d", "model.width=8"]),
    "cnn2d, rmsprop": ("few digits", ["model=cnn2d", "model.width=8", "optimizer=rmsprop"]),
    "gru, adam": ("few digits", ["model=gru", "model.width=32", "model.features=8", "optimizer=adam"]),
    "transformer, adamw": ("few digits", ["model=transformer", "model.width=16", "model.depth=1", "model.features=8", "optimizer=adamw"]),
    "rnn, nesterov": ("few digits", ["model=rnn", "model.width=32", "model.features=8", "optimizer=nesterov"]),
    "targets as they came, adam": ("friedman 3", ["normalise.target=false", "optimizer=adam"]),
    "features as they came, sgd": ("few digits", ["normalise=none"]),
    "features as they came, adam": ("few biopsies", ["normalise=none", "optimizer=adam"]),
    "weights times 4, sgd": ("blobs", ["model.gain=4"]),
    "weights of a tenth, 3 layers, adam": ("circles", ["model.gain=0.1", "model.depth=3", "optimizer=adam"]),
    "batches of 2, sgd": ("friedman 3", ["trainer.batch_size=2"]),
    "one batch, adam": ("uneven", ["trainer.batch_size=256", "optimizer=adam"]),
    "clipped to 0.1, nesterov": ("a product", ["trainer.clip=0.1", "optimizer=nesterov"]),
    "decay of 0.1, adamw": ("few digits", ["optimizer=adamw", "optimizer.weight_decay=0.1"]),
    "dropout of a half, sgd": ("few digits", ["model.dropout=0.5", "model.depth=2", "model.width=200"]),
    "2 sigmoid layers, nesterov": ("circles", ["model.activation=sigmoid", "model.depth=2", "optimizer=nesterov"]),
    "layer norm, sgd": ("blobs", ["model.norm=layer", "model.depth=2"]),
}  # fmt: skip
# Each on three tables.
WAYS = {
    "adadelta": ["optimizer=adadelta"],
    "adabound": ["optimizer=adabound"],
    "8 residual layers, sgd": ["model=mlp_residual", "model.depth=8"],
    "features as they came, adam": ["normalise=none", "optimizer=adam"],
    "weights times 4, sgd": ["model.gain=4"],
    "one batch, adam": ["trainer.batch_size=256", "optimizer=adam"],
    "clipped to 0.1, nesterov": ["trainer.clip=0.1", "optimizer=nesterov"],
    "decay of 0.1, adamw": ["optimizer=adamw", "optimizer.weight_decay=0.1"],
    "dropout of a half, sgd": ["model.dropout=0.5", "model.depth=2", "model.width=200"],
    "layer norm, sgd": ["model.norm=layer", "model.depth=2"],
}  # fmt: skip
TABLES = (
    "few digits", "friedman 2", "friedman 3", "four of ten", "blobs", "few biopsies", "topics", "uneven", "heavy targets", "shells",
)  # fmt: skip


def set_ups():
    """A name, a table, words, and the seed of the table's rows."""
    for name, (table, words) in SINGLE.items():
        yield name, table, words, 1
    for number, (name, words) in enumerate(WAYS.items()):
        for step in (1, 4, 7):
            yield name, TABLES[(number + step) % len(TABLES)], words, 2
