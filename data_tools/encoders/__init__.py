"""Patch encoders: what is known of one, how it is built, and how others name its weights."""
