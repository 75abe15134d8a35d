"""The commands of ``pathdata``, one a file: ``add_options`` says what it takes, ``run`` does it."""

import argparse


def size_option(text: str) -> tuple[int, int]:
    """``3072x2304`` as (w, h)."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"wanted WIDTHxHEIGHT such as 3072x2304, got {text!r}")
    return int(width), int(height)
