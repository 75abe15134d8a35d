"""Import a LLaVA v1.5 checkpoint, such as PathGen-LLaVA, as one `custom_llava` directory, bit for bit.

Reads the directories of haotian-liu/LLaVA and of Transformers' ``LlavaForConditionalGeneration``. The language model is
written shard by shard as it is read; then `compose` puts the parts together and judges them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import refuse_nonempty
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.shard_writer import SHARD_BYTES
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.foreign.importing import MODEL, importing
from pathplugins.models.foreign.language_model import write_language_model
from pathplugins.models.foreign.llava.settings import LlavaSettings, read_settings
from pathplugins.models.foreign.llava.template import ensure_template
from pathplugins.models.foreign.llava.tower import place_tower
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.file import file_weights
from pathplugins.weights.model_folder import checkpoint_files
from pathplugins.weights.names.llava import Layout, part_of

_CONNECTOR = {
    "linear": ("linear_1.weight", "linear_1.bias"),
    "mlp2x_gelu": ("linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias"),
}


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Report of an import: what was found and written."""

    layout: Layout
    counts: dict[str, int]
    """Tensors taken, by part."""
    dtype: str
    connector: str
    tower: str
    """Where the vision tower is from."""
    select_layer: int
    template_given: bool
    """The tokenizer had no chat template for plain text and was given LLaVA's v1."""


def import_llava(
    source: Path,
    out: Path,
    *,
    vision_tower: str | None = None,
    activation: str | None = None,
    image_aspect_ratio: str | None = None,
    template: bool = True,
    shard_bytes: int = SHARD_BYTES,
) -> Imported:
    """Write the model directory ``out``, which must not exist or be empty; nothing half-written is ever seen there.

    Args:
        source: directory of the checkpoint.
        out: where.
        vision_tower: CLIP directory or file, where the checkpoint does not hold its tower.
        activation: of the tower, where nothing tells it.
        image_aspect_ratio: ``pad`` or ``square``, where the checkpoint does not say it, or other than it says.
        template: give a tokenizer without a chat template that of LLaVA v1.5.
        shard_bytes: of a shard of the language model, at most.

    Raises:
        CheckpointError: Weights are missing, have no place, or are of a model that `custom_llava` cannot be.
    """
    refuse_nonempty(out)
    settings = read_settings(source, image_aspect_ratio=image_aspect_ratio)
    if not (source / "tokenizer_config.json").is_file():
        raise CheckpointError(f"{source} holds no tokenizer_config.json; finish the download")
    parts = _parts(source, settings)
    with importing(source, out) as work:
        tower, options, tower_from = place_tower(
            source, settings, parts["vision tower"], work, vision_tower=vision_tower, activation=activation
        )
        dtype = write_language_model(
            source,
            settings.text,
            parts["language model"],
            work / "llm",
            tokenizer=source,
            vocabulary=settings.vocabulary,
            shard_bytes=shard_bytes,
        )
        given = ensure_template(work / "llm") if template else False
        _put_together(settings, parts["connector"], tower, options, work)
    return Imported(
        layout=settings.layout,
        counts={part: len(tensors) for part, tensors in parts.items()},
        dtype=dtype,
        connector=settings.connector,
        tower=tower_from,
        select_layer=settings.select_layer,
        template_given=given,
    )


def _put_together(
    settings: LlavaSettings, connector: dict[str, Stored], tower: str, options: dict[str, Any], work: Path
) -> None:
    """Compose ``work/model`` of the language model in ``work/llm``, the tower and the connector."""
    state = {name: value.read().contiguous() for name, value in connector.items()}
    save_file(state, work / "projector.safetensors", metadata={"format": "pt"})
    spec = ComposeSpec(
        llm=str(work / "llm"),
        vision_tower=tower,
        vision_model_name="clip",
        vision_config=options,
        mm_projector_type=settings.connector,
        projector_path=str(work / "projector.safetensors"),
        vision_feature_select_mode="none",
        image_aspect_ratio=settings.image_aspect_ratio,
    )
    compose(spec, work / MODEL)


def _parts(source: Path, settings: LlavaSettings) -> dict[str, dict[str, Stored]]:
    """Return the tensors of the checkpoint by part and our name; refuse strange tensors and a partial connector."""
    parts: dict[str, dict[str, Stored]] = {"language model": {}, "connector": {}, "vision tower": {}}
    strange, count = [], 0
    for file in checkpoint_files(source):
        for name, value in file_weights(file).stored.items():
            count += 1
            part, ours = part_of(name, settings.layout) or ("", "")
            if part in parts:
                parts[part][ours] = value
            elif part != "nothing":
                strange.append(name)
    if strange:
        raise CheckpointError(
            f"{source}: {len(strange)} of its {count} tensors belong to no part of LLaVA v1.5: {few(strange)}; it is "
            "different kind of model, or an adapter that has to be merged first"
        )
    found, wanted = parts["connector"].keys(), _CONNECTOR[settings.connector]
    if found != set(wanted):
        raise CheckpointError(
            f"{source}: its connector {settings.connector} has {len(wanted)} weights, found {len(found)}: "
            f"{few(sorted(found)) or 'none'}; is the download complete?"
        )
    return parts
