"""The names of the preflight's checks, and which failure explains which other one."""

# Every check, in the order of a reader, and the checks whose failure explains its own failure:
# mend those first.
SCALE = ("missing_values", "feature_scales", "targets")
START = (*SCALE, "output_layer", "initial_weights", "batches", "optimizer_steps")
MODEL = ("gradients", "dead_units", "first_loss", "evaluation_mode", "batch_norm")
CAUSES: dict[str, tuple[str, ...]] = {
    "class_balance": (),
    "same_distribution": (),
    "shared_rows": (),
    "shared_groups": (),
    "missing_values": (),
    "constant_features": (),
    "extreme_values": (),
    "feature_scales": ("extreme_values",),
    "targets": (),
    "contradictions": (),
    "telltale_feature": (),
    "label_signal": (),
    "label_noise": ("label_signal", "contradictions", "labels_matter"),
    "label_order": (),
    "validation_labels": ("same_distribution", "label_signal", "contradictions"),
    "trains": ("batch_norm", "output_layer", "learning_rate", "batches", *SCALE),
    "reported_losses": ("trains", "batches"),
    "batches": (),
    "shuffling": ("batches",),
    "output_layer": (),
    "first_loss": (*SCALE, "output_layer", "batches"),
    "initial_weights": (),
    "gradients": (*START, "dead_units"),
    "optimizer_steps": (),
    "dead_units": START,
    "evaluation_mode": (),
    "batch_norm": (),
    "learning_rate": (*START, "batch_norm", "first_loss", "gradients", "dead_units"),
    "repeatable": (),
    "capacity": (*START, *MODEL, "learning_rate"),
    "overfit": (*START, *MODEL, "own_gradients", "contradictions", "reported_losses", "trains"),
    "labels_matter": (
        *START, *MODEL, "overfit", "label_signal", "validation_labels", "reported_losses", "trains",
    ),
    "held_out": (
        *START, *MODEL, "label_signal", "labels_matter", "reported_losses", "trains",
    ),
    "padding": ("trains", "evaluation_mode", "repeatable"),
    "speed": (),
    "own_gradients": (),
}  # fmt: skip
