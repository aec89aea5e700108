"""Families of checkpoints: what is published about each, as data."""
