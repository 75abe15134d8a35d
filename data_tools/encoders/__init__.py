"""Encode the patches of slides into feature bags, by the patch encoders of ``pathplugins/encoders``."""
