"""Facts about artefacts that other people published: each stands here once, with its source."""
