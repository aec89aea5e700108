"""Studies as people write them."""
