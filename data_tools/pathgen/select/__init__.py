"""Choose representative patches of slides with CLIP."""
