"""Load all weights of a patch encoder from a checkpoint of any project, or refuse."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.core.hashing import fed
from pathplugins.core.optional import need
from pathplugins.encoders.positions import grid_side, resized_positions
from pathplugins.encoders.weight_names import to_timm
from pathplugins.published.encoder_card import Positions
from pathplugins.weights import open_weights
from pathplugins.weights.model_folder import BIN_INDEX, INDEX, checkpoint_files

log = logging.getLogger(__name__)

#: what a training script adds to an encoder: classifiers, and the losses of DINO, MoCo, SimCLR, BYOL and MAE
HEADS = ("head", "fc.", "classifier", "decoder", "mask_token", "pooler.")
HEADS += ("projection", "projector", "predictor", "queue")
COPIES = ("encoder_k.", "net_target.", "momentum_encoder.")  #: slow copies of the encoder that MoCo and BYOL learn from
STATISTICS = ("running_mean", "running_var")  #: what batch norms learnt of the data: weights of the encoder
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.(safetensors|bin)$")
COUNTERS = "num_batches_tracked"  #: counters of batch norms; unused in inference and absent from converted checkpoints


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The part of a checkpoint that became the encoder."""

    container: str
    """Entry of the file that held the weights; empty for the file itself."""
    prefix: str
    """Prefix of the encoder's names."""
    naming: str
    """Project whose names they were."""
    loaded: int
    """Number of weights the encoder got: all of its own, but for counters that nobody reads."""
    wanted: int
    """Number of its weights."""
    entries: int
    """Number of weights in the checkpoint, heads and other parts included."""
    resized: str = ""
    """What was resized to the encoder's grid, empty where nothing was."""

    @property
    def share(self) -> float:
        """Share of the encoder's weights that were found."""
        return self.loaded / self.wanted

    def __str__(self) -> str:
        where = ", ".join(
            f"{relation} {name!r}" for relation, name in (("in", self.container), ("below", self.prefix)) if name
        )
        said = f"{self.loaded} weights by {self.naming} names{f' {where}' if where else ''}, of {self.entries} entries"
        return f"{said}; {self.resized}" if self.resized else said


def load_weights(model: Any, path: Path, *, unused: tuple[str, ...] = (), positions: Positions | None = None) -> Loaded:
    """Load the encoder's weights from ``path``.

    Args:
        model: the encoder, which gets them.
        path: a ``.safetensors`` file or one of ``torch.save``, or the folder or index of one in shards.
        unused: prefixes of further names that the file may have and the encoder does not need.
        positions: rule by which position embeddings of another grid are resized; None: they are refused.

    Raises:
        CheckpointError: unreadable, or not all of the encoder's weights and nothing but them and known heads.
    """
    found, container = read_weights(path)
    wanted = model.state_dict()
    named = any(key.startswith("patch_embed.proj.") for key in wanted)
    renamed, naming, before = to_timm(found) if named else (found, "timm", "")
    prefix = _prefix(renamed, wanted, path)
    own = {key[len(prefix) :]: value for key, value in renamed.items() if key.startswith(prefix)}
    resized = _fit_positions(model, own, wanted, positions) if positions else ""
    missing = [key for key in wanted if key not in own and not key.endswith(COUNTERS)]
    reshaped = [key for key in wanted if key in own and own[key].shape != wanted[key].shape]
    surplus = [key for key in own if key not in wanted and not key.startswith((*HEADS, *unused))]
    if missing and all(key.endswith(STATISTICS) for key in missing):
        raise CheckpointError(
            f"{path} lacks the running statistics of {len(missing) // 2 or 1} batch norms{_some(missing)}, without "
            "which the features would mean nothing; save the encoder's whole state_dict(), buffers included"
        )
    if missing or reshaped or surplus:
        fit = len(wanted) - len(missing) - len(reshaped)
        raise CheckpointError(
            f"{path} does not fit: of the encoder's {len(wanted)} weights it has "
            f"{fit} ({fit / len(wanted):.0%}, and all are needed), lacks {len(missing)}{_some(missing)}, has "
            f"{len(reshaped)} of another shape{_some(reshaped)}, and has {len(surplus)} the encoder does not "
            f"know{_some(surplus)}; pass the --encoder that it was saved from"
        )
    model.load_state_dict({key: own[key] for key in wanted if key in own}, strict=False)
    loaded = sum(key in own for key in wanted)
    result = Loaded(
        container=container,
        prefix=before or prefix,
        naming=naming,
        loaded=loaded,
        wanted=len(wanted),
        entries=len(found),
        resized=resized,
    )
    log.info("%s: %s", path, result)
    return result


def _fit_positions(model: Any, own: dict[str, Any], wanted: dict[str, Any], rule: Positions) -> str:
    """Resize the position embeddings in ``own`` where they are of another grid; return what was done, or nothing."""
    for key in (key for key in wanted if key.rpartition(".")[2] == "pos_embed"):
        trunk = model.get_submodule(key.rpartition(".")[0])
        prefix = 0 if trunk.no_embed_class else trunk.num_prefix_tokens
        old, new = (grid_side(weights[key], prefix) if key in weights else None for weights in (own, wanted))
        if old and new and old != new and own[key].shape[-1] == wanted[key].shape[-1]:
            own[key] = resized_positions(rule, own[key], new, prefix=prefix)
            return f"position embeddings resized from {old} x {old} to {new} x {new} ({rule})"
    return ""


def sha256(path: Path) -> str:
    """Return the hex digest of a file, or of all files of a folder or index, for the record kept with the features."""
    digest = hashlib.sha256()
    for file in checkpoint_files(_place(path)) if _place(path).is_dir() else [path]:
        fed(digest, file)
    return digest.hexdigest()


def read_weights(path: Path) -> tuple[dict[str, Any], str]:
    """Return the tensors of a checkpoint by name, and the entry of the file they lay in; nothing in the file is run.

    Raises:
        CheckpointError: There is no such file, or no weights in it.
        MissingDependencyError: torch, or safetensors for such a file, is not installed.
    """
    need("torch")
    if path.suffix == ".safetensors":
        need("safetensors")
    if _SHARD.search(path.name):
        raise CheckpointError(
            f"{path}: one of several files that hold the weights together; pass the folder, {path.parent}, with all of "
            f"them and their index ({INDEX})"
        )
    weights = open_weights(_place(path))
    if not weights:
        raise CheckpointError(f"{path}: holds no weights by name; save the state dict of the encoder and pass that")
    return dict(weights), weights.container


def _place(path: Path) -> Path:
    """Return what is opened: the folder for an index of shards, else the path itself."""
    return path.parent if path.name in (INDEX, BIN_INDEX) else path


def _prefix(found: dict[str, Any], wanted: dict[str, Any], path: Path) -> str:
    """Find what stands before the encoder's names in the checkpoint (``module.backbone.`` and the like).

    Where the checkpoint holds the encoder twice, the one that was trained is taken, not its slow copy.
    """
    probe = next(iter(wanted))
    needed = [key for key in wanted if not key.endswith(COUNTERS)]
    prefixes = {key[: -len(probe)] for key in found if key.endswith(probe)} | {""}
    matches = {prefix: sum(prefix + key in found for key in needed) for prefix in prefixes}
    best = [prefix for prefix in sorted(prefixes) if matches[prefix] == max(matches.values())]
    trained = [prefix for prefix in best if not any(f".{copy}" in f".{prefix}" for copy in COPIES)] or best
    if len(trained) > 1 and matches[trained[0]] == len(needed):
        raise CheckpointError(
            f"{path}: holds the encoder more than once, below {' and '.join(map(repr, trained))}; "
            "save the one you mean by itself, as .safetensors"
        )
    return trained[0]


def _some(keys: list[str]) -> str:
    return f" ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})" if keys else ""
