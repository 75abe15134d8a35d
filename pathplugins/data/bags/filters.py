"""Compression filters of HDF5 datasets: bring in those of hdf5plugin, or name the one that is missing."""

from __future__ import annotations

import importlib
import threading

import h5py

NAMES = {
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32018: "FCIDECOMP",
    32024: "SZ3",
    32026: "Blosc2",
    32028: "SPERR",
}
"""Number of a registered filter -> its name."""

_LOADED = threading.Event()


def missing_filter(dataset: h5py.Dataset) -> str | None:
    """Return a sentence on the first filter that nothing here can undo; None if the dataset can be read.

    hdf5plugin brings the filters that HDF5 itself lacks; it is imported once one is wanted.
    """
    plist = dataset.id.get_create_plist()
    for number in range(plist.get_nfilters()):
        code, _, _, named = plist.get_filter(number)
        if h5py.h5z.filter_avail(code) or (_plugins() and h5py.h5z.filter_avail(code)):
            continue
        name = NAMES.get(code) or named.decode(errors="replace") or "unknown"
        return (
            f"is compressed by the HDF5 filter {code} ({name}), which is not installed here: pip install hdf5plugin, "
            "or write it again with gzip (h5repack -f GZIP=4 IN OUT, where the filter is)"
        )
    return None


def filter_names(dataset: h5py.Dataset) -> list[str]:
    """Return the names of the filters of a dataset, in their order."""
    plist = dataset.id.get_create_plist()
    own = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
    codes = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    return [own.get(code) or NAMES.get(code) or f"filter {code}" for code in codes]


def _plugins() -> bool:
    """Import hdf5plugin, which registers its filters; return whether it is there."""
    if not _LOADED.is_set():
        try:
            importlib.import_module("hdf5plugin")
        except (ImportError, OSError):
            return False
        _LOADED.set()
    return True
