"""Suffixes of file names that tell slides from other files."""

SLIDE_SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".czi"),
    *(".png", ".jpg", ".jpeg"),
)
"""Of slide files, in lower case; nothing else after a dot of a slide's name is a suffix."""
