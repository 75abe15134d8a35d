"""Import PA-LLaVA's published weights: a checkpoint of XTuner with LoRA and connector, without XTuner.

The file holds what was trained: the connector (``projector.model.*``) and the language model's LoRA
(``llm.base_model.model.*``). The language model and PLIP are files of their own.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from pathplugins.core.cache_place import cache_dir
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, refuse_nonempty
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.projector import PREFIX
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.foreign.importing import MODEL, importing
from pathplugins.models.foreign.language_model import write_language_model
from pathplugins.models.foreign.lora import merged
from pathplugins.weights import Stored, open_weights
from pathplugins.weights.archive import unpacked
from pathplugins.weights.compare import few
from pathplugins.weights.model_folder import folder_weights
from pathplugins.weights.names import pallava as names
from pathplugins.weights.names.lora import Pair, lora_pairs

RANK, ALPHA = 128, 256
"""Of the LoRA, in both published configurations; alpha stands in no file of weights."""


def import_pallava(source: Path, out: Path, *, llm: Path | None = None, vision_tower: Path | None = None) -> list[str]:
    """Write the model directory ``out``, whole or not at all, and return what to say about it.

    Args:
        source: ``instruction_tuning_weight.pth``, the archive it is published in, or DeepSpeed's folder.
        out: new directory, or an empty one.
        llm: directory of Llama-3-8B-Instruct.
        vision_tower: PLIP: ``plip.tar.gz``, its directory or its file.

    Raises:
        CheckpointError: Weights are missing, have no place, or are not as published.
    """
    for option, value, what in (
        ("--llm", llm, "the directory of Meta-Llama-3-8B-Instruct"),
        ("--vision-tower", vision_tower, "plip.tar.gz of OpenFace-CQUPT/Pathology-LLaVA"),
    ):
        if value is None:
            raise CheckpointError(f"{source} holds what was trained alone; give {option}, {what}")
    refuse_nonempty(out)
    weights = open_weights(unpacked(source, cache_dir()))
    pairs, rest = lora_pairs(weights.stored, where=str(source))
    connector, dropped = _connector(source, rest)
    _check_lora(source, pairs)
    base = {name: value for name, value in folder_weights(llm).stored.items() if not name.endswith("inv_freq")}
    with importing(source, out) as work:
        tensors = merged(base, pairs, scale=ALPHA / RANK, where=str(source))
        dtype = write_language_model(llm, read_json(llm / "config.json"), tensors, work / "llm", tokenizer=llm)
        state = {f"{PREFIX}{name}": value.read().contiguous() for name, value in connector.items()}
        save_file(state, work / "projector.safetensors", metadata={"format": "pt"})
        spec = ComposeSpec(
            llm=str(work / "llm"),
            vision_tower=str(vision_tower),
            vision_model_name="plip",
            mm_projector_type="scale_invariant",
            projector_path=str(work / "projector.safetensors"),
            vision_feature_select_mode="none",
            image_aspect_ratio="anyres",
        )
        compose(spec, work / MODEL)
        options = read_json(work / MODEL / "config.json")["projector_config"]
    crossing = "with" if options["cross_attention"] else "WITHOUT (no tile reaches the language model)"
    left = f"; left out: {few(dropped)}" if dropped else ""
    return [
        f"{source}: PA-LLaVA, LoRA of {len(pairs)} modules (r {RANK}, alpha {ALPHA}) merged into {llm}, {dtype}",
        f"connector of {options['num_hidden_layers']} layers {crossing} cross-attention, by its weights{left}",
        "asked by the language model's own chat template without a system text, as it was trained",
        f"wrote {out}; train with model_name_or_path: {out}, or ask it:",
        f'  pathplugins ask {out} --image FILE --question "What does this show?"',
    ]


def _connector(source: Path, rest: dict[str, Stored]) -> tuple[dict[str, Stored], list[str]]:
    """Return the connector by our names, and the names that are no weights; refuse tensors of any other part."""
    connector, dropped, strange = {}, [], []
    for name, value in rest.items():
        bare = name.removeprefix("module.")
        if not bare.startswith(names.PREFIX):
            strange.append(name)
        elif (ours := names.to_ours(bare.removeprefix(names.PREFIX))) is None:
            dropped.append(name)
        else:
            connector[ours] = value
    if strange:
        raise CheckpointError(
            f"{source}: {len(strange)} of its tensors are neither PA-LLaVA's connector (projector.model.*) nor a LoRA "
            f"of its language model (llm.base_model.model.*): {few(strange)}; is it of another model or training?"
        )
    if not connector:
        raise CheckpointError(f"{source} holds no connector (projector.model.*); is it the file of PA-LLaVA?")
    return connector, dropped


def _check_lora(source: Path, pairs: dict[str, Pair]) -> None:
    if not pairs:
        raise CheckpointError(
            f"{source} holds a connector and no LoRA; give it as projector_path in a configuration instead"
        )
    if other := sorted({pair.rank for pair in pairs.values()} - {RANK}):
        raise CheckpointError(
            f"{source}: LoRA of rank {', '.join(map(str, other))}, published is {RANK} with alpha {ALPHA}, and no file "
            "of weights tells alpha: a run of your own is written by `pathplugins export xtuner` with its configuration"
        )
