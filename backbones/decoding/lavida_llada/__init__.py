"""LaViDa-LLaDA's way of decoding."""
