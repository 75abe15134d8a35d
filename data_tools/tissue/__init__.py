"""Tissue: find it on a slide, or take it from a mask that the user drew."""
