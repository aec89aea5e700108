"""One report of anything that was measured: studies, searches, benches and presets together."""
