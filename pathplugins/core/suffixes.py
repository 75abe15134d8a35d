"""Names of slide files: their suffixes, and the key that all spellings of a slide share."""

SLIDE_SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".czi"),
    *(".png", ".jpg", ".jpeg"),
)
"""Suffixes of slide files, in lower case; nothing else after a dot of a slide's name is a suffix."""


def slide_key(name: str) -> str:
    """Return the key that all spellings of a slide share: case folded, without the suffix of a slide file."""
    key = name.casefold()
    return key.rpartition(".")[0] if key.endswith(SLIDE_SUFFIXES) else key
