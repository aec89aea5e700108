"""How fast and how large: benchmarks on random models."""
