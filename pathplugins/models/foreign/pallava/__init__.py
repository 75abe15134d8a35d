"""PA-LLaVA's own checkpoints."""
