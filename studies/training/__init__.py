"""Training of the embedded models from a configuration file."""
