"""PathoSynVLM's published releases."""
