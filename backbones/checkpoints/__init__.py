"""Checkpoints on disk: found, checked, read and written."""
