"""Checkpoints: compose a model directory from parts, read other projects' weights."""
