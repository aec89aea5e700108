"""``python -m saccade.studies.cli``, for a checkout that is not installed."""

from saccade.studies.cli import main

main()
