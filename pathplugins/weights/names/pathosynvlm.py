"""Names in ``vlm_state.pt`` of a PathoSynVLM release: its connector and slide markers, and two flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.compare import few
from pathplugins.weights.stored import Stored

_ENTRIES = ("aligner", "use_wsi_markers", "use_wsi_index_emb", "wsi_index_emb", "wsi_sep")
_ALIGNER = tuple(f"{layer}.{kind}" for layer in ("pre_ln", "mlp.0", "mlp.3", "post_ln") for kind in ("weight", "bias"))


@dataclass(frozen=True, kw_only=True)
class ConnectorState:
    """The connector of a release."""

    tensors: dict[str, Stored]
    """By our names."""
    slide_markers: bool
    slide_numbers: bool
    left_out: tuple[str, ...]
    """Entries that the release does not use."""

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of `norm_mlp` that shapes and flags tell."""
        told = {"slide_markers": self.slide_markers, "slide_numbers": self.slide_numbers}
        told["hidden_multiple"] = self.tensors["mlp.0.weight"].shape[0] // self.tensors["mlp.3.weight"].shape[0]
        if "wsi_index_emb" in self.tensors:
            told["max_slides"] = self.tensors["wsi_index_emb"].shape[0]
        return told


def connector_state(content: Any, where: str) -> ConnectorState:
    """Return the connector in the content of ``vlm_state.pt``.

    Args:
        content: of the file, with every tensor as a `Stored`.
        where: the file, for messages.

    Raises:
        CheckpointError: An entry or a tensor is missing, or has no place.
    """
    aligner = content.get("aligner") if isinstance(content, Mapping) else None
    if not isinstance(aligner, Mapping):
        found = few(sorted(map(str, content))) if isinstance(content, Mapping) else type(content).__name__
        raise CheckpointError(f"{where}: wanted the entries {', '.join(_ENTRIES)}, found {found}; give a release whole")
    markers, numbers = bool(content.get("use_wsi_markers")), bool(content.get("use_wsi_index_emb"))
    index, sep = content.get("wsi_index_emb"), content.get("wsi_sep")
    wanted = {name: aligner.get(name) for name in _ALIGNER}
    extra = {"wsi_sep": sep, "wsi_index_emb": index.get("weight") if isinstance(index, Mapping) else None}
    used = {"wsi_sep": markers, "wsi_index_emb": markers and numbers}
    wanted |= {name: value for name, value in extra.items() if used[name]}
    missing = sorted(name for name, value in wanted.items() if not isinstance(value, Stored))
    strange = [*sorted(set(aligner) - set(_ALIGNER)), *sorted(set(content) - set(_ENTRIES))]
    strange += sorted(set(index or ()) - {"weight"})
    if missing or strange:
        raise CheckpointError(
            f"{where}: of its connector are missing {few(missing) or 'none'} and have no place {few(strange) or 'none'}"
            "; is the download complete, and the release of version 1?"
        )
    return ConnectorState(
        tensors=wanted,
        slide_markers=markers,
        slide_numbers=numbers,
        left_out=tuple(name for name, value in extra.items() if value is not None and not used[name]),
    )
