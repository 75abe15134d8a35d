"""Train pathology vision-language models in an unmodified LLaMA-Factory or XTuner."""

__version__ = "0.1.0"
