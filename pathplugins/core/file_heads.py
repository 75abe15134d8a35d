"""First bytes of files that are often found in place of the data."""

from __future__ import annotations

GIT_LFS_POINTER = b"version https://git-lfs"
WEB_PAGES = (b"<!doctype html", b"<html")
"""In lower case, after blanks."""


def stand_in(head: bytes) -> str | None:
    """Return what a file is that holds something else in place of its data, and what to do; None where it is no such.

    Args:
        head: its first bytes, 64 or more.
    """
    if head.startswith(GIT_LFS_POINTER):
        return "is a Git-LFS pointer, not the data itself; fetch it with `git lfs pull`"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(WEB_PAGES):
        return (
            "is a web page, as of a login, not the data itself; log in (hf auth login), accept the terms of a gated "
            "repository in the browser, and download it again"
        )
    return None
