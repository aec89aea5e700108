"""The published benchmarks, through lmms-eval: our models as its plug-in, and studies over them."""
