"""Errors, files, registries, command lines and the trainers' symbols that we use: standard library only."""
