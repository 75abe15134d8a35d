"""CLIP for the data tools: architectures, towers, one model to encode patches and texts, zero-shot classification."""
