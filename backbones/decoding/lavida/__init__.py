"""LaViDa-Dream's way of decoding."""
