"""Convert conversations about images from any published format to any other."""
