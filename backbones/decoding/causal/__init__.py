"""The autoregressive way of decoding."""
