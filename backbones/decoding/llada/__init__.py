"""LLaDA-V's way of decoding."""
