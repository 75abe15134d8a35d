"""Slides: find and open them, read their pixels and their resolution."""
