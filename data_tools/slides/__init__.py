"""Find and open slides, read their pixels and their resolution."""
