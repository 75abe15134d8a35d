"""Say which error a slide raises that cannot be used."""

from pathplugins.core.errors import PathPluginsError


class SlideError(PathPluginsError):
    """A slide that cannot be used; the message names the file."""
