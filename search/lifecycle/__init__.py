"""The life of a search: launch, lifecycle, stages, refit, and single trainings."""
