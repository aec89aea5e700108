"""Tuning finds the thresholds and schedules that the other folders only apply.

Calibration, searches over thresholds and pruners, tests of how many answers a setting changes, and
models of that risk. The folder may import the controller, the pruners and the backbones; only
``saccade.studies`` may import it.
"""
