"""Import ANTONI-Alpha's published weights: its connector, and a MedGemma with LoRA and trained embeddings.

``pytorch_model.bin`` holds what PEFT saves of a 4-bit language model: the 4-bit base (left out, ``--llm`` gives it
whole), LoRA of all linear layers (merged), embedding and head (trained whole, no longer one), and LoRA of a vision part
that is never called (left out).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, refuse_nonempty, write_json
from pathplugins.data.turn_formats import FORMATS
from pathplugins.data.turn_formats.jinja import chat_template
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.projector import PREFIX
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.text_part import language_model_of
from pathplugins.models.foreign.antoni_alpha.settings import AntoniSettings, read_settings
from pathplugins.models.foreign.importing import MODEL, importing
from pathplugins.models.foreign.language_model import EMBEDDING, VOCABULARY, write_language_model
from pathplugins.models.foreign.lora import merged
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.model_folder import folder_weights
from pathplugins.weights.names.antoni_alpha import Parts, parts_of

TEMPLATE = "antoni_gemma3"
ENCODER = "prism"
"""What the bags hold: PRISM's latents."""
_TRAINED_WHOLE = {"embed_tokens": EMBEDDING, "lm_head": "lm_head.weight"}


def import_antoni_alpha(source: Path, out: Path, *, llm: Path | None = None) -> list[str]:
    """Write the model directory ``out``, whole or not at all, and return what to say about it.

    Args:
        source: directory with ``config.json`` and ``pytorch_model.bin``, whole or in shards.
        out: new directory, or an empty one.
        llm: directory of MedGemma-4b-it, unquantised.

    Raises:
        CheckpointError: Weights are missing, have no place, or are not those of ``llm``.
    """
    refuse_nonempty(out)
    settings = read_settings(source)
    if llm is None:
        raise CheckpointError(
            f"{source} holds of its language model what was trained, and the rest in 4 bits; give --llm "
            f"{settings.llm.split('/')[-1]}, the unquantised model (for a gated one accept the terms on "
            f"https://huggingface.co/{settings.llm} and log in: hf auth login)"
        )
    parts = parts_of(folder_weights(source).stored, where=str(source))
    width = _connector_width(source, parts)
    text, base = language_model_of(llm)
    _check_whole(source, settings, parts)
    _check_base(source, parts.untouched, base, llm)
    tensors = merged(base, parts.lora, scale=settings.scale, where=str(source), leaves=settings.leaves) | parts.saved
    text = {**text, "tie_word_embeddings": bool(text.get("tie_word_embeddings", True)) and not parts.saved}
    with importing(source, out) as work:
        dtype = write_language_model(source, text, tensors, work / "llm", tokenizer=llm)
        state = {f"{PREFIX}{name}": value.read().contiguous() for name, value in parts.connector.items()}
        save_file(state, work / "projector.safetensors", metadata={"format": "pt"})
        spec = ComposeSpec(
            llm=str(work / "llm"),
            vision_model_name="features",
            vision_config={"feature_dim": width, "encoder": ENCODER},
            mm_projector_type="latent_queries",
            projector_config=settings.projector,
            projector_path=str(work / "projector.safetensors"),
            vision_feature_select_mode="none",
            patches_per_wsi=None,
        )
        _give_template(compose(spec, work / MODEL))
    left = "; ".join(f"{count} {why}" for why, count in parts.left_out.items())
    return [
        f"{source}: ANTONI-Alpha, LoRA of {len(parts.lora)} modules (r {settings.rank}) merged into {llm}, {dtype}; "
        f"trained whole: {', '.join(sorted(parts.saved)) or 'nothing'}",
        f"connector latent_queries of {settings.projector['num_queries']} tokens for features {width} wide",
        f"tensors left out: {left or 'none'}",
        f"the tokenizer asks by the chat template {TEMPLATE}, as it was trained",
        f"wrote {out}; train with model_name_or_path: {out}, template: {TEMPLATE}, or ask it:",
        f'  pathplugins ask {out} --bag LATENTS.h5 --question "What does this slide show?"',
    ]


def _connector_width(source: Path, parts: Parts) -> int:
    """Return the width of the features that the connector takes."""
    if "query_tokens" not in parts.connector:
        raise CheckpointError(
            f"{source} holds no projection_layer.query_tokens: no connector of ANTONI-Alpha; is the download complete?"
        )
    return parts.connector["query_tokens"].shape[-1]


def _check_whole(source: Path, settings: AntoniSettings, parts: Parts) -> None:
    """Refuse a checkpoint without a module that its config.json says was trained whole, or with another LoRA."""
    if ranks := sorted({pair.rank for pair in parts.lora.values()} - {settings.rank}):
        raise CheckpointError(
            f"{source}: LoRA of rank {ranks[0]}, config.json says {settings.rank}; is the file its own?"
        )
    if foreign := sorted(set(settings.saved) - _TRAINED_WHOLE.keys()):
        raise CheckpointError(f"{source}: lora_modules_to_save has {few(foreign)}, known: {', '.join(_TRAINED_WHOLE)}")
    wanted, found = {_TRAINED_WHOLE[name] for name in settings.saved}, parts.saved.keys()
    if missing := sorted(wanted - found):
        raise CheckpointError(
            f"{source}: config.json says that {few(missing)} were trained whole, and they are not there; is the "
            "download complete?"
        )
    if more := sorted(found - set(VOCABULARY)):
        raise CheckpointError(f"{source}: {few(more)} were trained whole, which nothing here says; is config.json its?")
    if len(found) == 1:
        raise CheckpointError(
            f"{source}: {few(found)} was trained whole without {few(set(VOCABULARY) - found)}, which is one with it in "
            "Gemma; no file says what became of the other"
        )


def _check_base(source: Path, untouched: Mapping[str, Stored], base: Mapping[str, Stored], llm: Path) -> None:
    """Compare what was never trained, the norms above all, with ``llm``: it must be the model it was trained on."""
    for name, value in untouched.items():
        if name not in base or base[name].shape != value.shape:
            shape = base[name].shape if name in base else "not there"
            raise CheckpointError(
                f"{source}: {name} is {value.shape}, in --llm {llm} it is {shape}; give the language model it was "
                "trained on"
            )
        if not torch.equal(value.read().to(torch.bfloat16), base[name].read().to(torch.bfloat16)):
            raise CheckpointError(
                f"{source}: {name}, which was not trained, has other values in --llm {llm}; give the language model it "
                "was trained on"
            )


def _give_template(model: Path) -> None:
    """Let the tokenizer ask as the model was trained."""
    (model / "chat_template.jinja").unlink(missing_ok=True)  # would be read before the other
    settings = read_json(model / "tokenizer_config.json")
    write_json(model / "tokenizer_config.json", settings | {"chat_template": chat_template(FORMATS.get(TEMPLATE))})
