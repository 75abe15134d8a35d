"""Errors that a user can act on: each message says what is wrong, where, got, wanted and what to do next."""


class PathPluginsError(ValueError):
    """A file, option or setting of the user's that cannot be used as it is."""


class BadSamplesError(PathPluginsError):
    """Rows of a dataset that cannot be trained on, all of them in one report."""


class BagError(PathPluginsError):
    """A feature bag that cannot be read as one; the message names the file."""


class CheckpointError(PathPluginsError):
    """Weights that are missing, partial or of another shape than the part they are for."""


class MissingDependencyError(ImportError):
    """An optional package that this step needs; the message says how to install it."""


class HostDriftError(RuntimeError):
    """A trainer without a symbol we lean on: newer or older than what was tested."""
