"""Terms: show the known licences of a download, and ask the user to keep to them."""

from __future__ import annotations

import sys

from pathplugins.core.errors import PathPluginsError

from ...engine.progress import say


def agree(*terms: str, yes: bool) -> None:
    """Show terms and return once the user agrees: asked on a terminal, by ``--yes`` elsewhere.

    Raises:
        PathPluginsError: they were not agreed to.
    """
    say("Terms, as far as they are known; read the originals:")
    for text in terms:
        say(f"- {text}")
    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):
        raise PathPluginsError("nothing was downloaded: pass --yes to say that you keep to these terms")
    say("Do you keep to these terms? [y/N]")
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise PathPluginsError("nothing was downloaded: the terms were not agreed to; answer y, or pass --yes")
