"""The LLaMA-Factory adapter: the only package here that imports ``llamafactory``."""
