"""Data tools: slides become feature bags, published data sets become training files (``pathdata``).

In reading order, each package importing only packages named before it:

- ``engine`` does many slides side by side and records what became of each; it knows nothing of pixels.
- ``slides`` finds and opens slides, ``tissue`` finds tissue on them, ``pictures`` draws them.
- ``bags`` reads and writes the patch and feature files of other tools.
- ``tiling`` cuts slides into patches, ``encoders`` turns patches into bags of features, ``clip`` compares patches with
  sentences.
- ``records`` converts data sets of conversations, ``splits`` divides them, and bags, into train, valid and test,
  ``cleaning`` scores image-caption pairs, ``tables`` joins labels of slides with bags, ``slide_images`` makes several
  pictures of each slide; ``patchtcga`` unpacks and describes its data sets, ``pathgen`` rebuilds PathGen-1.6M,
  ``captioning`` has patches described by a served model.
- ``commands`` holds one module per command; ``cli`` dispatches to them, and to those that run a model, which lie in
  ``pathplugins/commands``.
"""
