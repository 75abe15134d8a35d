"""Readers of slide files: OpenSlide first, and others for what it cannot read right.

Each gives a handle with OpenSlide's names: ``dimensions``, ``level_dimensions``, ``level_downsamples``, ``properties``,
``read_region((x0, y0), level, (w, h))`` and ``close``. ``table`` lists the formats, ``opening`` chooses the reader.
"""
