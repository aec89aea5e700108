"""What carries out a plan inside a forward, and measures what policies and pruners ask for."""
