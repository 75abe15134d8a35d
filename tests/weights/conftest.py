"""Weights of PA-LLaVA, made once per session."""

from pallava_weights import published, shapes_of

__all__ = ["published", "shapes_of"]
