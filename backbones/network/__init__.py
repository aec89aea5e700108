"""Networks as tensors: layers, towers, caches; they know no prompts, steps or plans."""
