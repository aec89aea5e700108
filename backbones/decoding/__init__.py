"""How an answer is decoded: settings, what is chosen and committed, the loop over steps."""
