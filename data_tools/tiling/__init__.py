"""Tiling: cut the tissue of a slide into patches, and write where they lie."""
