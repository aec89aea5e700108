"""Samples side by side: the unpruned answer, a case's, and what the case read of the picture."""
