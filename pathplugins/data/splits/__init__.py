"""Splits: divide named samples into train, valid and test, so that no slide or patient lies in two of them."""

from pathplugins.data.splits.file import read_split, write_split
from pathplugins.data.splits.split import PARTS, Fold, Split

__all__ = ["PARTS", "Fold", "Split", "read_split", "write_split"]
