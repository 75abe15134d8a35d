"""Networks that are trained: a patch encoder with a classifier, a mask decoder, or BYOL's online and target halves."""
