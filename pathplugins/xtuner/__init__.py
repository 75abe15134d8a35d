"""The XTuner adapter: the only package here that imports ``xtuner`` or ``mmengine``."""
