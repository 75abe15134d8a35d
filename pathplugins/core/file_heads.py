"""First bytes of files that are often found in place of the data."""

from __future__ import annotations

GIT_LFS_POINTER = b"version https://git-lfs"
WEB_PAGES = (b"<!doctype html", b"<html")
"""In lower case, after blanks."""
