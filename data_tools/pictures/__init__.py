"""Draw pictures of slides: overlays, heat maps, image files."""
