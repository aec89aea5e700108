"""From records to figures: scores, paired changes, speed-ups, tables of methods."""
