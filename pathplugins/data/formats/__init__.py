"""Record formats: one file, one format, records out."""

from pathplugins.core.registry import Registry

FORMATS = Registry("record format", {"wsi_csv": "pathplugins.data.formats.wsi_csv:read_wsi_csv"})
"""Reader of each format: path and options in, ``(records, bad samples)`` out."""
