"""Cut the image-caption pairs of PathGen from their slides."""
