"""Data tools: slides to tissue, patches and feature bags (``pathdata``)."""
