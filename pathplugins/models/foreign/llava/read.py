"""Import a LLaVA v1.5 checkpoint, such as PathGen-LLaVA, as one `custom_llava` directory, bit for bit.

Reads the directories of haotian-liu/LLaVA and of Transformers' ``LlavaForConditionalGeneration``. The language model is
written shard by shard as it is read; then `compose` puts the parts together and judges them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from pathplugins.core.errors import CheckpointError, MissingDependencyError, PathPluginsError
from pathplugins.core.files import read_json, refuse_nonempty, write_json
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.language_model import read_text_config, weights_of
from pathplugins.models.compose.shard_writer import SHARD_BYTES, ShardWriter
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.custom_llava.rope import legacy_rope
from pathplugins.models.custom_llava.tokenizer_files import is_tokenizer_file
from pathplugins.models.foreign.llava.settings import LlavaSettings, read_settings
from pathplugins.models.foreign.llava.template import ensure_template
from pathplugins.models.foreign.llava.tower import place_tower
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.file import file_weights
from pathplugins.weights.model_folder import checkpoint_files
from pathplugins.weights.names.llava import Layout, part_of

EMBEDDING = "model.embed_tokens.weight"
VOCABULARY = (EMBEDDING, "lm_head.weight")
"""Weights with a row for each entry of the vocabulary."""
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
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        work = Path(scratch)
        with _named(source, work):
            tower, options, tower_from = place_tower(
                source, settings, parts["vision tower"], work, vision_tower=vision_tower, activation=activation
            )
            dtype = _write_language_model(source, settings, parts["language model"], work / "llm", shard_bytes)
            given = ensure_template(work / "llm") if template else False
            _put_together(settings, parts["connector"], tower, options, work)
        if out.exists():
            out.rmdir()
        (work / "model").rename(out)
    return Imported(
        layout=settings.layout,
        counts={part: len(tensors) for part, tensors in parts.items()},
        dtype=dtype,
        connector=settings.connector,
        tower=tower_from,
        select_layer=settings.select_layer,
        template_given=given,
    )


@contextmanager
def _named(source: Path, work: Path) -> Iterator[None]:
    """Let errors name the checkpoint, not where its parts lay for a moment, and the package a tokenizer needs."""
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f"Transformers lacks a package to read the tokenizer of {source}: {' '.join(str(error).split())[:200]}; "
            "pip install sentencepiece protobuf"
        ) from error
    except PathPluginsError as error:
        raise type(error)(str(error).replace(str(work), str(source))) from error


def _put_together(
    settings: LlavaSettings, connector: dict[str, Stored], tower: str, options: dict[str, Any], work: Path
) -> None:
    """Compose ``work/model`` of the language model in ``work/llm``, the tower and the connector, and let it own all."""
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
    _take_shards(compose(spec, work / "model"))


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


def _write_language_model(
    source: Path, settings: LlavaSettings, tensors: dict[str, Stored], llm: Path, shard_bytes: int
) -> str:
    """Write a directory of the language model alone, shard by shard, and return the type of its weights."""
    if EMBEDDING not in tensors:
        raise CheckpointError(
            f"{source} holds no {EMBEDDING}: no language model; is it an adapter or a connector alone?"
        )
    dtype = tensors[EMBEDDING].dtype
    text: dict[str, Any] = {name: value for name, value in settings.text.items() if name != "dtype"}
    text["torch_dtype"] = dtype
    if settings.vocabulary is not None:
        text["vocab_size"] = settings.vocabulary
    llm.mkdir()
    write_json(llm / "config.json", legacy_rope(text))
    for path in source.iterdir():
        if is_tokenizer_file(path) or path.name == "generation_config.json":
            shutil.copyfile(path, llm / path.name)
    wanted = weights_of(source, read_text_config(llm))
    _whole(source, wanted, tensors)
    with ShardWriter(llm, shard_bytes=shard_bytes) as writer:
        for name in (name for name in tensors if name in wanted):
            value = tensors[name].read()
            if settings.vocabulary is not None and name in VOCABULARY:
                value = value[: settings.vocabulary].clone()
            _fits(source, name, value, wanted[name])
            writer.add(name, value)
    return dtype


def _whole(source: Path, wanted: Iterable[str], found: Iterable[str]) -> None:
    wanted, found = set(wanted), set(found)
    missing = sorted(wanted - found)
    more = sorted(found - wanted - {"lm_head.weight"})  # one that is tied may lie there all the same
    if missing or more:
        raise CheckpointError(
            f"{source}: of its language model {len(found)} tensors were read, {len(wanted)} wanted: {len(missing)} "
            f"missing ({few(missing) or 'none'}), {len(more)} unexpected ({few(more) or 'none'}); weights are taken "
            "whole or not at all: is the download complete, and config.json its own?"
        )


def _fits(source: Path, name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise CheckpointError(
            f"{source}: {name} is {tuple(value.shape)}, wanted {shape}; is config.json that of another model?"
        )


def _take_shards(model: Path) -> None:
    """Replace the links to the language model's shards by the shards, and forget where they lay."""
    for link in model.glob("llm-*.safetensors"):
        real = link.resolve()
        link.unlink()
        real.rename(link)
    config = read_json(model / "config.json")
    config["text_config"].pop("_name_or_path", None)
    write_json(model / "config.json", config)
