"""Join the labels of slides with their bags to tables that a model is trained with."""
