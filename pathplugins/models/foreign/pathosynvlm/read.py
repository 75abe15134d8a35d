"""Import a release of PathoSynVLM: a folder of ``vlm_state.pt``, ``llm/``, ``tokenizer/`` and ``config.json``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.core.file_heads import GIT_LFS_POINTER
from pathplugins.core.files import read_json, write_json
from pathplugins.data.turn_formats import FORMATS
from pathplugins.data.turn_formats.jinja import chat_template
from pathplugins.data.turn_formats.pathosyn_qwen import REQUEST
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.projector import PREFIX
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.foreign.chat_template import write_chat_template
from pathplugins.models.foreign.importing import MODEL, importing
from pathplugins.models.foreign.language_model import write_language_model
from pathplugins.weights import Stored
from pathplugins.weights.file import file_content, file_weights
from pathplugins.weights.model_folder import checkpoint_files
from pathplugins.weights.names.pathosynvlm import ConnectorState, connector_state

STATE, LLM, TOKENIZER, CONFIG = "vlm_state.pt", "llm", "tokenizer", "config.json"
ROWS = 4096
"""Rows of a case in training; the published script reads all where it is not told."""
_LABELS = {"micro_protocol": "Micro protocol"}
"""Field of the data that is the last line of an answer -> its label; others are written as titles."""
_FORMATS = {"single": "pathosyn_qwen", "double": "pathosyn_qwen_double"}
"""``prompt_style`` of a release -> chat format."""


def import_pathosynvlm(source: Path, out: Path) -> list[str]:
    """Write the model directory ``out``, whole or not at all, and return what to say about it.

    Args:
        source: folder of the release.
        out: new directory, or an empty one.

    Raises:
        CheckpointError: Weights are missing, have no place, or do not go together.
    """
    settings = _settings(source)
    connector = connector_state(file_content(source / STATE), str(source / STATE))
    _check(source, settings, connector)
    name = _FORMATS[settings.get("prompt_style", "single")]
    rows = (settings.get("training_config") or {}).get("max_vision_tokens") or ROWS
    tensors = _language_model(source / LLM)
    with importing(source, out) as work:
        text = read_json(source / LLM / CONFIG)
        dtype = write_language_model(source, text, tensors, work / LLM, tokenizer=source / TOKENIZER)
        if (source / LLM / "generation_config.json").is_file():
            shutil.copyfile(source / LLM / "generation_config.json", work / LLM / "generation_config.json")
        state = {PREFIX + name: value.read().contiguous() for name, value in connector.tensors.items()}
        save_file(state, work / "projector.safetensors", metadata={"format": "pt"})
        spec = ComposeSpec(
            llm=str(work / LLM),
            vision_model_name="features",
            vision_config={"feature_dim": settings["vision_dim"], "encoder": settings["feature_key"]},
            mm_projector_type="norm_mlp",
            projector_config=connector.options,
            projector_path=str(work / "projector.safetensors"),
            vision_feature_select_mode="none",
            patches_per_wsi=rows,
            patches_sampling="first",
            patches_per_case=rows,
            case_shares="in_order",
        )
        compose(spec, work / MODEL)
        _as_published(work / MODEL, name, settings)
    unused = f"; left out, as the release does not use them: {', '.join(connector.left_out)}" * bool(connector.left_out)
    markers = f"markers for {connector.options['max_slides']} slides" if connector.options.get("max_slides") else ""
    return [
        f"{source}: PathoSynVLM, tensors: {len(tensors)} of the language model ({dtype}), {len(connector.tensors)} of "
        f"the connector{unused}",
        f"reads the first {rows} rows of a case, slide by slide, at least one of each; "
        f"{markers or ('a marker that does not count' if connector.slide_markers else 'no markers')}",
        f"wrote {out}; train with model_name_or_path: {out}, template: {name}, or ask it:",
        f'  pathplugins ask {out} --bag a.h5 --bag b.h5 --question "{REQUEST}"',
    ]


def _settings(source: Path) -> dict[str, Any]:
    """Return ``config.json`` of a release."""
    absent = [name for name in (STATE, LLM, TOKENIZER, CONFIG) if not (source / name).exists()]
    if absent == [LLM] and (source / "adapter").is_dir():
        raise CheckpointError(
            f"{source} holds its LoRA beside no language model (adapter/); export it with the LoRA merged, without "
            "--no_merge_lora"
        )
    if absent:
        raise CheckpointError(f"{source} holds no {' and no '.join(absent)}; give the folder of a release, whole")
    if (source / CONFIG).read_bytes().startswith(GIT_LFS_POINTER):
        raise CheckpointError(f"{source / CONFIG}: a Git LFS pointer; run `git lfs pull` where it was cloned")
    settings = read_json(source / CONFIG)
    missing = [name for name in ("vision_dim", "feature_key") if name not in settings]
    if missing or settings.get("prompt_style", "single") not in _FORMATS:
        said = f"lacks {' and '.join(missing)}" if missing else f"has the prompt_style {settings['prompt_style']!r}"
        raise CheckpointError(f"{source / CONFIG} {said}; is it the config.json of the release, not of llm/?")
    return settings


def _check(source: Path, settings: Mapping[str, Any], connector: ConnectorState) -> None:
    """Refuse a connector that is not the one the settings tell of."""
    flags = {"use_wsi_markers": connector.slide_markers, "use_wsi_index_emb": connector.slide_numbers}
    wrong = [f"{name} is {settings[name]} there" for name, value in flags.items() if settings.get(name, value) != value]
    width = connector.tensors["pre_ln.weight"].shape[0]
    if width != settings["vision_dim"]:
        wrong.append(f"vision_dim is {settings['vision_dim']} there and its first layer {width} wide")
    if wrong:
        raise CheckpointError(
            f"{source / STATE} is of another release than {source / CONFIG}: {'; '.join(wrong)}; download both again"
        )


def _language_model(folder: Path) -> dict[str, Stored]:
    """Return the tensors of ``llm/``, of all its shards."""
    return {name: value for file in checkpoint_files(folder) for name, value in file_weights(file).stored.items()}


def _as_published(model: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Ask and generate as the published script does: its format, greedy, its stop words."""
    from transformers import AutoTokenizer

    turn_format = FORMATS.get(name)
    field = str(settings.get("report_target_field") or "conclusion").lower()
    label = settings.get("report_target_label") or _LABELS.get(field, field.replace("_", " ").title())
    system = turn_format.default_system.replace("Conclusion:", f"{label}:")
    write_chat_template(model, chat_template(turn_format, system))
    vocabulary = AutoTokenizer.from_pretrained(model).get_vocab()
    ends = [vocabulary[word] for word in turn_format.stop_words if word in vocabulary]
    if not ends:
        raise CheckpointError(
            f"its tokenizer has none of {', '.join(turn_format.stop_words)}; is it Qwen2.5-Instruct's?"
        )
    write_json(model / "generation_config.json", {"do_sample": False, "eos_token_id": ends, "pad_token_id": ends[-1]})
