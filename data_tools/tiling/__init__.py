"""Cut tissue into patches: where they lie, by which settings, in which files."""
