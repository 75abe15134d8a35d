"""Probe bags: the small models that tell what patch features know of slide labels, by cross validation.

Axes: N patches of a bag, D features, C hidden width, H attention heads, K classes, S slides.
"""
