"""OpenCLIP checkpoints to Transformers directories."""
