"""Layouts of checkpoints: how each way of training a patch encoder names the encoder and what lies beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WRAPPERS = ("module.", "model.")
"""What data parallelism and Lightning put before all names."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of training, by the names of its checkpoints."""

    name: str
    encoder: str
    """What stands before the encoder's names, wrappers left out."""
    known_by: tuple[str, ...]
    """Beginnings of names that this method alone has, wrappers left out."""
    beside: tuple[str, ...] = ()
    """Beginnings of names below ``encoder`` that are not of the encoder."""
    note: str = ""
    """A choice that is made for the reader."""
    source: str
    """Who says so; where no file was opened, the code that writes it."""


_PATCHTCGA = "code of https://github.com/enigmanx20/PatchTCGA"
METHODS = (
    Method(
        name="BYOL",
        encoder="net_online.net.",
        known_by=("net_online.net.", "projector_online.", "classifier_online."),
        note="the online network, not its slow copy net_target",
        source=_PATCHTCGA,
    ),
    Method(
        name="SimCLR",
        encoder="convnet.",
        known_by=("convnet.",),
        source="code of https://github.com/AndrewAtanov/simclr-pytorch, which PatchTCGA's page names",
    ),
    Method(
        name="MoCo v2",
        encoder="encoder_q.",
        known_by=("encoder_q.", "encoder_k."),
        note="the query encoder, not its slow copy encoder_k",
        source="code of https://github.com/facebookresearch/moco",
    ),
    Method(
        name="MAE",
        encoder="",
        known_by=("decoder_blocks.", "decoder_embed.", "mask_token"),
        source="code of https://github.com/facebookresearch/mae",
    ),
    Method(
        name="DINO",
        encoder="backbone.",
        known_by=("head.mlp.", "head.last_layer."),
        note="the teacher where the file has one: the average that the authors release",
        source="code of https://github.com/facebookresearch/dino",
    ),
    Method(
        name="DeepLabv3",
        encoder="backbone.",
        known_by=("classifier.0.convs.", "classifier.4."),
        note="the dilated ResNet, without the segmentation head",
        source="torchvision.models.segmentation; PatchTCGA's file was not opened",
    ),
    Method(
        name="supervised",
        encoder="",
        known_by=("fc.1.",),
        source=_PATCHTCGA,
    ),
    Method(
        name="MAE segmentation",
        encoder="",
        known_by=("decoder.", "decode_head.", "seg_head.", "segmentation_head."),
        beside=("decoder", "decode_head.", "auxiliary_head.", "seg_head.", "segmentation_head."),
        note="the encoder, without the decoder: PatchTCGA published no code of it",
        source="a guess at usual names; PatchTCGA's file was not opened",
    ),
)
"""By precedence: what comes first is known by names that the later ones lack."""
BY_NAME = {method.name: method for method in METHODS}


def method_of(names: Iterable[str]) -> Method | None:
    """Return the method that wrote a checkpoint with these names; None where nothing but an encoder is in it."""
    bare = [bare_name(name) for name in names]
    return next((method for method in METHODS if any(name.startswith(method.known_by) for name in bare)), None)


def bare_name(name: str) -> str:
    """Return a name without its wrappers."""
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name


def parts_beside(names: Iterable[str], prefix: str, own: Iterable[str]) -> dict[str, int]:
    """Return what a checkpoint has beside the encoder: part -> number of its tensors, in the order of the file.

    Args:
        names: of all tensors.
        prefix: before the encoder's names.
        own: names of the encoder.
    """
    mine, parts = {prefix + name for name in own}, dict[str, int]()
    for name in names:
        if name not in mine:
            part = bare_name(name.removeprefix(prefix)).partition(".")[0]
            parts[part] = parts.get(part, 0) + 1
    return parts
