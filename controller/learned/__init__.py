"""What the `Learned` policy reads: actions, features of a step, and a model of their risk."""
