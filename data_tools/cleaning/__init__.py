"""Cleaning of image-caption pairs: a table of scores and reasons first, then the pairs that pass its thresholds."""
