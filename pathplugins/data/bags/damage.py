"""What h5py raises for damaged files, whichever step of reading meets the damage."""

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""``PathPluginsError`` is a ValueError: let it through before these.

Names that are no UTF-8, and numbers that NumPy has no type for, are ValueErrors; types and attributes of no known kind
are TypeErrors; for all else it is one of the first three.
"""
