"""Facts about artefacts that other people published: each stands here once, as a row, with its source.

``licence``, ``preprocessing`` and ``encoder_card`` are the types; ``encoders/`` (patch encoders), ``open_clip`` and
``pathgen_clip`` (CLIP), ``slide_encoders``, ``llava``, ``pathgen`` (repositories, terms) and ``systems`` are the rows.
Nothing here reads a file or the network, or imports more than Python's own library.
"""
