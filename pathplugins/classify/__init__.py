"""Train patch encoders on labelled patches and score them, on the Trainer of Transformers."""
