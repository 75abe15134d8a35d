"""Inspect files of features or positions: what they are, and every fault in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.attributes import NOMINAL_SOURCE
from pathplugins.data.bags.contract import BagContract
from pathplugins.data.bags.coords import check_grid, read_coords, tower_coords
from pathplugins.data.bags.damage import DAMAGE
from pathplugins.data.bags.encoders import other_encoder
from pathplugins.data.bags.filters import filter_names
from pathplugins.data.bags.layout import BagInfo, open_bag, read_layout
from pathplugins.data.bags.repeats import repeats_text
from pathplugins.data.bags.rows import RowReader, faulty_rows
from pathplugins.published.encoder_names import encoder_key
from pathplugins.published.slide_encoders import GIGAPATH

from . import Geometry, Source, kind_of, open_source, sources_in
from .patch_files import read_patch_file

WHAT = {
    "pathplugins": "feature bag of pathplugins",
    "unpuzzle": "feature bag with coords_yx (Unpuzzle)",
    "clam": "features of CLAM",
    "trident": "features of TRIDENT",
    "stamp": "features of STAMP",
    "h5-features": "features without positions (H5)",
    "pathgen-mil": "MIL features of PathGen",
    "histai-instruct": "latents of HISTAI-Instruct",
    "slidechat-csv": "features of SlideChat (CSV)",
    "wsi-llava-pt": "tensor of torch (WSI-LLaVA, CLAM's pt_files)",
    "patches": "patch positions without features",
    "slide-embedding": "slide embedding: one vector for the whole slide, not a bag of patches",
}
_FOREIGN = ("h5-features", "pathgen-mil", "histai-instruct", "slidechat-csv", "wsi-llava-pt")
_ANY_FEATURES = BagContract()


@dataclass(kw_only=True)
class Report:
    """The facts, notes and faults of one slide, or of one file."""

    path: str
    what: str
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def reports_of(
    path: Path, *, coords_mpp: float | None = None, contract: BagContract = _ANY_FEATURES
) -> Iterator[Report]:
    """Yield one report per slide; for an unreadable or unknown file, one with the reason under ``wrong``.

    Args:
        path: The file.
        coords_mpp: Microns per stored pixel, for bags that do not record it.
        contract: What a model's vision tower expects; any features in GigaPath's frame and grid unless given.
    """
    try:
        kind = kind_of(path)
    except PathPluginsError as error:
        yield Report(path=str(path), what="unknown", wrong=[_without(path, error)])
        return
    subjects = sources_in(path, kind) if kind in _FOREIGN else [path]
    for subject in subjects:
        report = Report(path=str(subject.path if isinstance(subject, Source) else subject), what=WHAT[kind])
        try:
            if isinstance(subject, Source):
                _foreign(subject, report)
            elif kind == "patches":
                _patches(path, report)
            elif kind == "slide-embedding":
                _embedding(path, report)
            else:
                _bag(path, report, coords_mpp, contract)
        except DAMAGE as error:
            report.wrong.append(_without(path, error))
        _judge_features(report, contract)
        yield report


def _bag(path: Path, report: Report, coords_mpp: float | None, contract: BagContract) -> None:
    with open_bag(path) as file:
        info, features, coords, checksums = read_layout(file, str(path))
        report.facts |= _facts(info.rows, info.width, info.dtype, Geometry.of(info), info.slide_id)
        report.facts["storage"] = storage(features) + (", a checksum each row" if checksums is not None else "")
        order = "y, x" if coords.name.endswith("yx") else "x, y"
        report.facts["positions"] = f"({order}), {_unit(info)}"
        try:
            stored_xy = read_coords(coords, info)  # [N, 2]
            _judge_positions(stored_xy, Geometry.of(info), report)
            if contract.frame_mpp is not None:
                xy = tower_coords(stored_xy, info, coords_mpp=coords_mpp, frame_mpp=contract.frame_mpp)
                report.facts["frame"] = (
                    f"(x, y) pixels at {contract.frame_mpp:g} mpp: {_span(stored_xy)} becomes {_span(xy)}, "
                    f"{len(np.unique(xy // contract.tile_px, axis=0))} cells of {contract.tile_px} px"
                )
                check_grid(xy, info, contract)
        except PathPluginsError as error:
            report.wrong.append(_without(path, error))
        _judge_values((block for _, block in RowReader(features, checksums).blocks()), report)


def _foreign(source: Source, report: Report) -> None:
    with open_source(source) as opened:
        report.facts |= _facts(opened.rows, opened.width, opened.dtype, opened.geometry, source.slide_id)
        report.notes += opened.notes
        if opened.coords_xy is None:
            report.facts["positions"] = "none"
            report.notes.append(
                "a tower with positions (gigapath) needs them: pathdata convert features --coords DIR adds them; the "
                "towers features and patch_mlp take an H5 file as it is"
            )
        else:
            report.facts["positions"] = "(x, y), level-0 pixels"
            _judge_positions(opened.coords_xy, opened.geometry, report)
            report.notes.append("trainers read one slide per file: pathdata convert features makes bags of it")
        _judge_values(opened.blocks, report)


def _patches(path: Path, report: Report) -> None:
    patches = read_patch_file(path)
    report.what = f"{report.what}, by {patches.tool}" if patches.tool != "unknown" else report.what
    report.facts |= _facts(len(patches.coords_xy), None, None, patches.geometry, None)
    report.facts["positions"] = f"(x, y), level-0 pixels, {_span(patches.coords_xy)}"
    _judge_positions(patches.coords_xy, patches.geometry, report)


def _embedding(path: Path, report: Report) -> None:
    with open_bag(path) as file:
        vector = file["features" if "features" in file else "feats"]
        report.facts |= {"shape": list(vector.shape), "dtype": str(vector.dtype)}
        if not np.isfinite(vector[:]).all():
            report.wrong.append("holds NaN or infinity")


def _judge_positions(xy: np.ndarray, geometry: Geometry, report: Report) -> None:
    if said := repeats_text(xy):
        report.wrong.append(said)
    if xy.dtype.kind != "i":
        return
    strides = [int(np.gcd.reduce(np.abs(column - column[0]))) for column in xy.T]
    report.facts["stride"] = strides
    side = geometry.patch_size_level0
    if side and any(0 < stride < side / 8 for stride in strides):
        report.notes.append(
            f"positions differ by multiples of {strides} only, patches are {side:g} px: no one grid (CLAM and TRIDENT "
            "begin one in each piece of tissue)"
        )


def _judge_features(report: Report, contract: BagContract) -> None:
    """Judge width and encoder, which are facts of every kind of feature file."""
    width, encoder, expected = (report.facts.get("width"), report.facts.get("encoder"), contract.expects_encoder)
    if width is None:
        return
    if contract.feature_dim not in (None, width):
        report.wrong.append(f"features are {width} wide, expected {contract.feature_dim}; made with another encoder?")
    if encoder is None:
        said = f", so nothing checks that they are of {expected}" if expected else ""
        report.notes.append(f"names no patch encoder{said}; pathdata convert features --encoder NAME writes it")
    elif expected is not None and encoder_key(encoder) != encoder_key(expected):
        report.wrong.append(other_encoder(encoder, expected))
    elif expected is None and width == GIGAPATH.feature_dim and encoder_key(encoder) != GIGAPATH.patch_encoder:
        report.notes.append(
            f"as wide as features of {GIGAPATH.patch_encoder}, but of another encoder: a tower with GigaPath's weights "
            "refuses them"
        )


def _judge_values(blocks: Iterator[np.ndarray], report: Report) -> None:
    bad, blank = faulty_rows(blocks)
    for rows, got in ((bad, "hold NaN or infinity"), (blank, "are all zeros")):
        if rows:
            report.wrong.append(f"{len(rows)} of {report.facts['rows']} feature rows {got}, first row {rows[0]}")


def _facts(rows: int, width: int | None, dtype: str | None, geometry: Geometry, slide_id: str | None) -> dict[str, Any]:
    size = [geometry.level0_width, geometry.level0_height]
    facts = {
        "slide": slide_id,
        "rows": rows,
        "width": width,
        "dtype": dtype,
        "encoder": geometry.encoder,
        "patch_size": geometry.patch_size,
        "mpp": geometry.mpp,
        "mpp_source": NOMINAL_SOURCE if geometry.nominal else None,
        "patch_size_level0": geometry.patch_size_level0,
        "level0_mpp": geometry.level0_mpp,
        "level0_size": size if None not in size else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def storage(features: h5py.Dataset) -> str:
    """Describe how HDF5 stores a dataset: contiguous or chunked, with which filters."""
    if features.chunks is None:
        return "contiguous"
    named = ", ".join(filter_names(features))
    return f"chunks {features.chunks[0]} x {features.chunks[1]}" + (f", {named}" if named else "")


def _unit(info: BagInfo) -> str:
    if info.units == "um":
        return "microns"
    return "unit not recorded" if info.convention in ("unpuzzle", "stamp") else "level-0 pixels"


def _span(xy: np.ndarray) -> str:
    (left, top), (right, bottom) = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
    return f"x {left:g}..{right:g}, y {top:g}..{bottom:g}"


def _without(path: Path, error: Exception) -> str:
    """Return the message of an error without the leading path, which the report names already."""
    return str(error).removeprefix(str(path)).lstrip(": ")
