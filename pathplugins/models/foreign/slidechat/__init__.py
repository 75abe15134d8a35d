"""SlideChat's published checkpoints."""
