"""Tuning finds the thresholds and schedules that the other folders only apply.

Optuna studies over measured latency and accuracy, the training and calibration of learned policies,
and the presets that come out of them will live here. The folder may import the controller, the
pruners and the backbones; only ``saccade.studies`` may import it.
"""
