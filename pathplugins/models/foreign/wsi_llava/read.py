"""Import a checkpoint of the official WSI-LLaVA: a whole LLaVA directory, or a LoRA beside LLaVA-1.5's.

Its slide features take the place of CLIP's tokens, so that the CLIP in the checkpoint is left out and the tower of the
model is `features`; the connector's width tells that of the features: 1,024, padded, or 768.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import refuse_nonempty
from pathplugins.data.prompts import WSI_LLAVA_EVALUATION_PROMPT
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.projector import PREFIX
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.foreign.importing import MODEL, importing
from pathplugins.models.foreign.language_model import write_language_model
from pathplugins.models.foreign.llava.projector import TYPES
from pathplugins.models.foreign.llava.settings import LlavaSettings, is_llava, read_settings
from pathplugins.models.foreign.llava.template import give_template
from pathplugins.models.foreign.lora import merged
from pathplugins.models.foreign.wsi_llava.adapter import is_adapter, read_adapter
from pathplugins.published.slide_encoders import WSI_LLAVA_TOKENS
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.model_folder import folder_weights
from pathplugins.weights.names.wsi_llava import Sorted, sort_names

CONNECTOR = "mlp2x_gelu"


def import_wsi_llava(source: Path, out: Path, *, llm: Path | None = None, template: str | None = None) -> list[str]:
    """Write the model directory ``out``, whole or not at all, and return what to say about it.

    Args:
        source: a whole directory of LLaVA, or one of a LoRA run (``adapter_model.*``, ``non_lora_trainables.bin``).
        out: new directory, or an empty one.
        llm: of a LoRA: the directory of llava-v1.5-7b, which it was trained on.
        template: ``v1`` (as trained; the default), ``v1-evaluation`` (with the system sentence of the published
            evaluation) or ``none`` (as the tokenizer has it).

    Raises:
        CheckpointError: Weights are missing, have no place, or are of another model.
    """
    refuse_nonempty(out)
    base, said = source, []
    if is_adapter(source):
        base = _base(source, llm)
    elif llm is not None:
        raise CheckpointError(
            f"{source} is no LoRA (no adapter_config.json): it holds its language model; leave --llm out"
        )
    if not (base / "tokenizer_config.json").is_file():
        raise CheckpointError(f"{base} holds no tokenizer_config.json; finish the download")
    settings = read_settings(base, image_aspect_ratio="pad")  # no image is padded: any will do
    found = _sorted(base, dict(folder_weights(base).stored), settings)
    language, connector, bypassed = found.language, found.connector, found.bypassed
    if base is not source:
        adapter = read_adapter(source)
        beside = _sorted(source, adapter.beside, settings)
        if beside.language:
            raise CheckpointError(f"{source}: weights of the language model beside its LoRA: {few(beside.language)}")
        connector, bypassed = beside.connector, bypassed + beside.bypassed
        language = merged(language, adapter.pairs, scale=adapter.scale, where=str(source), leaves=adapter.leaves)
        said = [f"LoRA of {len(adapter.pairs)} modules, r {adapter.rank}, scale {adapter.scale:g}, merged into {base}"]
    width = _width(source, connector)
    with importing(source, out) as work:
        dtype = write_language_model(
            base, settings.text, language, work / "llm", tokenizer=base, vocabulary=settings.vocabulary
        )
        if template != "none":
            give_template(work / "llm", WSI_LLAVA_EVALUATION_PROMPT if template == "v1-evaluation" else "")
        _put_together(connector, width, work)
    asks = {"none": "as the tokenizer has it", "v1-evaluation": "LLaVA's v1 with the sentence of the evaluation"}
    left = f"{len(bypassed)} tensors of the vision tower left out: it is bypassed" if bypassed else "no vision tower"
    counts = f"{len(language)} of the language model, {len(connector)} of the connector"
    return [
        f"{source}: WSI-LLaVA, tensors: {counts}; {dtype}",
        *said,
        f"{left}; reads bags of {width} channels, as pathdata pool writes them",
        f"chat template: {asks.get(template or 'v1', 'LLaVA v1, as it was trained')}",
        f"wrote {out}; train with model_name_or_path: {out}, or ask it:",
        f'  pathplugins ask {out} --bag pooled/SLIDE.h5 --question "What is the diagnosis?"',
    ]


def _base(source: Path, llm: Path | None) -> Path:
    """Return the directory of the LLaVA that a LoRA was trained on."""
    if llm is None:
        raise CheckpointError(f"{source} is a LoRA; give --llm, the directory of {read_adapter(source).base}")
    if not is_llava(llm):
        raise CheckpointError(
            f"--llm {llm} is no LLaVA (config.json with mm_vision_tower): the LoRA was trained on the language model "
            f"of {read_adapter(source).base}, which is not Vicuna's any more; give its directory"
        )
    return llm


def _sorted(source: Path, stored: dict[str, Stored], settings: LlavaSettings) -> Sorted:
    if settings.layout != "llava":
        raise CheckpointError(
            f"{source} has Transformers' layout of LLaVA; the original's is read, that of llava-v1.5-7b"
        )
    found = sort_names(stored)
    if found.strange:
        raise CheckpointError(
            f"{source}: {len(found.strange)} of its {len(stored)} tensors belong to no part of LLaVA: "
            f"{few(found.strange)}; is it of another model?"
        )
    return found


def _width(source: Path, connector: dict[str, Stored]) -> int:
    """Return the width of the features, which the connector tells."""
    if TYPES.get(frozenset(connector)) != CONNECTOR:
        raise CheckpointError(
            f"{source}: wanted a connector of 2 layers (mm_projector.0 and .2, weight and bias), found "
            f"{few(sorted(connector)) or 'none'}; is the download complete?"
        )
    return connector["linear_1.weight"].shape[1]


def _put_together(connector: dict[str, Stored], width: int, work: Path) -> None:
    """Compose ``work/model`` of the language model in ``work/llm`` and the connector."""
    state: dict[str, Any] = {PREFIX + name: value.read().contiguous() for name, value in connector.items()}
    save_file(state, work / "projector.safetensors", metadata={"format": "pt"})
    spec = ComposeSpec(
        llm=str(work / "llm"),
        vision_model_name="features",
        vision_config={"feature_dim": width, "encoder": WSI_LLAVA_TOKENS},
        mm_projector_type=CONNECTOR,
        projector_path=str(work / "projector.safetensors"),
        vision_feature_select_mode="none",
        patches_per_wsi=None,
    )
    compose(spec, work / MODEL)
