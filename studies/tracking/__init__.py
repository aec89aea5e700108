"""Experiment trackers: what studies, searches and benches found, sent to wandb or TensorBoard."""
