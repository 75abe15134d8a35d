"""LLaVA v1.5 checkpoints, in and out."""
