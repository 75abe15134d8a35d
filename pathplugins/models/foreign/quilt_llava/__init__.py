"""Quilt-LLaVA's published weights."""
