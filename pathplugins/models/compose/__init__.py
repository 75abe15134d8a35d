"""Compose a model directory from a language model, a vision tower, a connector and a token selector."""
