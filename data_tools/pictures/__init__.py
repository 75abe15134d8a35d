"""Pictures of slides: overlays, heat maps and image files."""
