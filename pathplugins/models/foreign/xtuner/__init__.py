"""XTuner's checkpoints, read without XTuner."""
