"""Models that ship with Knobwise; any `nn.Module` by `model._target_` serves as well."""
