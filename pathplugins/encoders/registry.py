"""Patch encoders by name: a published row, a model of timm, an ``hf-hub:`` id, or a folder downloaded from the hub."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.core.optional import need
from pathplugins.core.registry import Registry, unknown
from pathplugins.encoders.hub_folder import folder_card
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoder_names import encoder_key
from pathplugins.published.encoders import CARDS

ENCODERS = Registry("encoder", {card.name: card for card in CARDS})


def find_card(name: str) -> EncoderCard:
    """Return the card of a published encoder, a hub id, a timm model or a local hub folder, tried in that order.

    A published encoder may have the name another tool gives it, or that of its repository, where nothing else has it.

    Raises:
        PathPluginsError: none of them; the message names the nearest.
    """
    if name in ENCODERS:
        return ENCODERS.get(name)
    timm, path = need("timm"), Path(name)
    if name.startswith("hf-hub:"):
        hub_id = name.removeprefix("hf-hub:")
        return EncoderCard(name=name, architecture=name, hub_id=hub_id, source=f"https://huggingface.co/{hub_id}")
    if timm.is_model(name):
        return _timm_card(name)
    if path.is_dir():
        return folder_card(path)
    if encoder_key(name) in ENCODERS:  # as TRIDENT and others spell it
        return ENCODERS.get(encoder_key(name))
    if path.is_file():
        raise PathPluginsError(f"--encoder {name} is a file of weights: pass --encoder <model> --weights {name}")
    if len(path.parts) > 1:  # no name of an encoder has a slash
        raise PathPluginsError(f"encoder {name}: no such folder{near_path(path)}; wanted that of an encoder, or a name")
    known = [*ENCODERS, *timm.list_models()]
    first = unknown("encoder", name, known).split(" Known:")[0]  # timm knows more than a thousand
    raise PathPluginsError(f"{first} pathdata encoders lists ours; any timm model name or hub folder works too")


def _timm_card(name: str) -> EncoderCard:
    """Return the card of a timm model, with the repository of its weights, if there is one."""
    config = need("timm").get_pretrained_cfg(name, allow_unregistered=True)
    return EncoderCard(name=name, architecture=name, hub_id=config.hf_hub_id if config else None)
