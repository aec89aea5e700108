"""Tasks, cases, the study runner, reports and the command line."""
