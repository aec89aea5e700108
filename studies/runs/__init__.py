"""Running studies: units, records, recipes."""
