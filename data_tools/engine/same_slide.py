"""Same slide: whether a result that exists was made from the slide that has its name now; content decides."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.content import content_print
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.suffixes import slide_name


def check_same_slide(made: Path, slide: Path, *, content: str | None, was: str) -> None:
    """Refuse a result of another slide with the same name; one that was only moved or copied is the same slide.

    Args:
        made: The result, for the message.
        slide: The slide of this run.
        content: ``content_print`` of the slide it was made from; None where an earlier version did not record it.
        was: Path of that slide.

    Raises:
        PathPluginsError: the two differ.
    """
    if content is None or (now := content_print(slide)) == content:
        return
    raise PathPluginsError(other_slide(made, slide, content=content, now=now, was=was))


def other_slide(made: Path, slide: Path, *, content: str, now: str, was: str) -> str:
    """Return the sentence that refuses a result of another slide."""
    there, here = content.partition("-")[0], now.partition("-")[0]
    who = f"{slide} as it was then" if Path(was).absolute() == slide.absolute() else f"another slide, {was}"
    return (
        f"{made} was made from {who} ({there} bytes, content {content}), and {slide} is {here} bytes, content {now}: "
        f"two slides called {slide_name(slide)!r}; rename one, choose another --out, or pass --overwrite to replace "
        "what was made"
    )
