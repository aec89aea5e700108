"""From questions and pictures to the embeddings that a network reads."""
