"""Import SlideChat's published checkpoints: a file of its XTuner, or a folder that DeepSpeed wrote.

Stage 1 holds what it has trained, slide encoder and connector; stage 2 the language model too. Neither holds the
settings and the tokenizer of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.data.turn_formats import FORMATS
from pathplugins.data.turn_formats.jinja import chat_template
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.foreign.chat_template import write_chat_template
from pathplugins.models.foreign.importing import MODEL, importing
from pathplugins.models.foreign.language_model import write_language_model
from pathplugins.weights import Stored, open_weights
from pathplugins.weights.compare import few
from pathplugins.weights.names.slidechat import part_of

FORMAT = "slidechat_qwen"
TRAIN_ROWS, TEST_ROWS = 10_240, 38_400
"""Rows read of a bag at most: in training and its hook, in the test tool."""
NEW_TOKENS = 500
"""Of an answer at most, in the test tool."""


def import_slidechat(source: Path, out: Path, *, llm: Path | None = None) -> list[str]:
    """Write the model directory ``out``, whole or not at all, and return what to say about it.

    Args:
        source: ``stage1_pth`` or ``stage2_pth`` of SlideChat_Weight: a file, or DeepSpeed's folder.
        out: new directory, or an empty one.
        llm: directory of Qwen2.5-7B-Instruct, whose settings and tokenizer are taken; of stage 1 its weights too.

    Raises:
        CheckpointError: Weights are missing, have no place, or are not of this language model.
    """
    if llm is None:
        raise CheckpointError(
            f"{source} holds neither settings nor tokenizer of its language model; give --llm, the directory of "
            "Qwen2.5-7B-Instruct"
        )
    parts = _parts(source)
    trained = parts["language model"]
    with importing(source, out) as work:
        dtype = ""
        if trained:
            dtype = write_language_model(source, read_json(llm / "config.json"), trained, work / "llm", tokenizer=llm)
        spec = ComposeSpec(
            llm=str(work / "llm" if trained else llm),
            vision_tower=str(source),
            vision_model_name="slidechat",
            mm_projector_type="mlp2x_gelu",
            projector_path=str(source),
            vision_feature_select_mode="none",
            patches_per_wsi=TRAIN_ROWS,
            patches_sampling="linspace",
        )
        compose(spec, work / MODEL, copy=not trained)
        _as_published(work / MODEL)
    counts = ", ".join(f"{len(tensors)} of the {part}" for part, tensors in parts.items() if tensors)
    said = f"its own, {dtype}" if trained else f"not in the file (stage 1), that of {llm}"
    return [
        f"{source}: SlideChat, tensors: {counts}; language model {said}",
        "its patches never see each other, as in the published code (attend: false)",
        f"reads {TRAIN_ROWS} rows of a bag at most, as in training, evenly spaced; the published test reads up to "
        f"{TEST_ROWS}: patches_per_wsi in {out / 'preprocessor_config.json'}",
        f"wrote {out}; train with model_name_or_path: {out}, template: {FORMAT}, or ask it:",
        f'  pathplugins ask {out} --bag conch.h5 --question "..." --max-new-tokens {NEW_TOKENS}',
    ]


def _parts(source: Path) -> dict[str, dict[str, Stored]]:
    """Return the tensors by part and our name; refuse strange ones, and a checkpoint that lacks tower or connector."""
    parts: dict[str, dict[str, Stored]] = {"slide encoder": {}, "connector": {}, "language model": {}}
    strange = []
    for name, value in open_weights(source).stored.items():
        found = part_of(name)
        if found is None:
            strange.append(name)
        elif not name.endswith("inv_freq"):  # of the position embedding, which Transformers computes
            parts[found[0]][found[1]] = value
    if strange:
        raise CheckpointError(
            f"{source}: {len(strange)} of its tensors belong to no part of SlideChat (LongNet_encoder.*, "
            f"projector.model.*, llm.*): {few(strange)}; is it a checkpoint of another model?"
        )
    if absent := [part for part in ("slide encoder", "connector") if not parts[part]]:
        raise CheckpointError(
            f"{source} holds no {' and no '.join(absent)}; give stage1_pth or stage2_pth of SlideChat_Weight whole"
        )
    return parts


def _as_published(model: Path) -> None:
    """Ask and generate as the published test does: its format, greedy, its stop words."""
    turn_format = FORMATS.get(FORMAT)
    write_chat_template(model, chat_template(turn_format))
    vocabulary = _vocabulary(model)
    ends = [vocabulary[word] for word in turn_format.stop_words if word in vocabulary]
    if not ends:
        raise CheckpointError(
            f"--llm: its tokenizer has none of {', '.join(turn_format.stop_words)}; give Qwen2.5-7B-Instruct"
        )
    write_json(model / "generation_config.json", {"do_sample": False, "eos_token_id": ends, "pad_token_id": ends[-1]})


def _vocabulary(model: Path) -> Mapping[str, int]:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model).get_vocab()
