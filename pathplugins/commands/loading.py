"""Load a trained model with its processor, ready to answer."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pathplugins.commands.model_directory import adapter_directory, model_directory
from pathplugins.core.errors import CheckpointError, MissingDependencyError, PathPluginsError
from pathplugins.models.custom_llava.input_files import Reads, reads_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin


class LoadedModel(NamedTuple):
    """A model in evaluation mode and the processor that makes its inputs."""

    model: PreTrainedModel
    """`custom_llava`, with or without a PEFT adapter, on its device."""
    processor: ProcessorMixin
    """Tokenizer and reader of images or bags."""

    @property
    def reads(self) -> Reads:
        """What the vision tower takes: H5 feature ``bags`` of slides, or ``images``."""
        return reads_of(self.processor)

    @property
    def name(self) -> str:
        """Directory or hub id the model was loaded from."""
        return str(self.processor.tokenizer.name_or_path)


def load_model(
    directory: str | Path,
    *,
    adapter: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    bits: Literal[4, 8] | None = None,
    allow_other_encoder: bool = False,
    image_aspect_ratio: str | None = None,
) -> LoadedModel:
    """Load a composed or trained model with its processor.

    Args:
        directory: model directory or hub id.
        adapter: directory or hub id of a LoRA adapter trained on the model.
        device: ``cpu``, ``cuda``, ``cuda:1`` and so on; ``auto`` is a GPU if there is any.
        dtype: of the weights, e.g. ``bfloat16``; ``auto`` is the checkpoint's.
        bits: quantize the language model by bitsandbytes; vision tower, connector and head stay as they are.
        allow_other_encoder: take bags whose features are of another patch encoder than the tower was trained on.
        image_aspect_ratio: ``pad`` or ``square`` in place of what the model was trained with, see `make_square`.

    Raises:
        PathPluginsError: a path, the device or an option cannot be used; nothing was loaded.
        MissingDependencyError: ``adapter`` without ``peft``, or ``bits`` without ``bitsandbytes``.
    """
    import torch

    from pathplugins.models.new_tokens import take_over

    folder = model_directory(str(directory))
    adapter_folder = None if adapter is None else adapter_directory(str(adapter))
    processor = load_processor(folder, allow_other_encoder=allow_other_encoder)
    if image_aspect_ratio is not None:
        make_square(processor, image_aspect_ratio)
    place = existing_device(device)
    options: dict[str, Any] = {"torch_dtype": dtype if dtype == "auto" else getattr(torch, dtype)}
    if bits is not None:
        options |= {"quantization_config": _quantization(bits, place, options["torch_dtype"]), "device_map": place}
    model = _whole_model(folder, options)
    if adapter_folder is not None:
        take_over(model, processor, adapter_folder)
        model = _adapted(model, adapter_folder)
    return LoadedModel((model if bits else model.to(place)).eval(), processor)


def _whole_model(folder: Path, options: dict[str, Any]) -> PreTrainedModel:
    """Return the model, all of whose weights come from the directory: Transformers makes up those that lack."""
    from transformers import AutoModelForImageTextToText

    try:
        model, found = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True, **options)
    except RuntimeError as error:  # a full memory is one too
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise CheckpointError(
            f"{folder}: its weights have other shapes than its config.json gives; undo what was changed there, or "
            "compose or export the model again"
        ) from error
    if missing := sorted(found["missing_keys"]):
        names = ", ".join(missing[:3]) + ", ..." * (len(missing) > 3)
        raise CheckpointError(
            f"{folder} lacks {len(missing)} weights of the model ({names}), which would be random; copy or export all "
            "of it again"
        )
    return model


def load_processor(directory: str | Path, *, allow_other_encoder: bool = False) -> ProcessorMixin:
    """Load the processor of a model directory or hub id; ``allow_other_encoder`` is `load_model`'s.

    Raises:
        PathPluginsError: it is no model of this package, or its processor and its model count vision tokens in
            different ways.
    """
    from transformers import AutoConfig, AutoProcessor

    from pathplugins.models.custom_llava.auto import register

    register()
    folder = model_directory(str(directory))
    processor = AutoProcessor.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    for setting in ("vision_feature_select_mode", "image_seq_length"):
        ours, theirs = getattr(processor.image_processor, setting), getattr(config, setting)
        if ours != theirs:
            raise PathPluginsError(
                f"{folder}: {setting} is {theirs} in config.json and {ours} in preprocessor_config.json, which must be "
                "the same; correct the one that was changed, or copy both files from one model"
            )
    if allow_other_encoder and hasattr(processor.image_processor, "allow_other_encoder"):
        processor.image_processor.allow_other_encoder = True
    return processor


def make_square(processor: Any, image_aspect_ratio: str) -> None:
    """Let images be padded to a square, or cut to one, whatever the model was trained with.

    Raises:
        PathPluginsError: the model reads bags, or tiles, of which there are other numbers.
    """
    reader = processor.image_processor
    own = getattr(reader, "image_aspect_ratio", None)
    if own not in ("pad", "square"):
        what = "feature bags" if own is None else f"images as {own}"
        raise PathPluginsError(
            f"--image-aspect-ratio {image_aspect_ratio}: this model reads {what}; the option is for models of one "
            "square an image (pad, square), leave it out"
        )
    reader.image_aspect_ratio = image_aspect_ratio


def add_encoder_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-other-encoder`` to a command that reads bags."""
    parser.add_argument(
        "--allow-other-encoder",
        action="store_true",
        help="take bags whose features are of another patch encoder than the vision tower was trained on",
    )


def existing_device(name: str) -> str:
    """Return the name of a device that exists."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise PathPluginsError(f"--device {name}: no such device; give auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= count:
        raise PathPluginsError(
            f"--device {name}: this machine shows PyTorch {count} GPUs; give auto or cpu{', or cuda:0' * bool(count)}"
        )
    return name


def _adapted(model: Any, adapter: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingDependencyError("peft is needed for --adapter: pip install peft") from error
    try:
        return PeftModel.from_pretrained(model, str(adapter))
    except (ValueError, RuntimeError) as error:  # PEFT's own words for targets that are not there, and for other sizes
        reason = str(error).strip().splitlines()[0]
        raise PathPluginsError(
            f"--adapter {adapter} does not fit the model ({reason}); give the model it was trained on"
        ) from error


def _quantization(bits: int, device: str, dtype: Any) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if not device.startswith("cuda"):
        raise PathPluginsError(f"--bits {bits} needs an NVIDIA GPU, the device is {device}; leave it out")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError("bitsandbytes is needed for --bits: pip install bitsandbytes")
    return BitsAndBytesConfig(
        load_in_4bit=bits == 4,
        load_in_8bit=bits == 8,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16 if dtype == "auto" else dtype,
        llm_int8_skip_modules=["vision_tower", "token_selector", "multi_modal_projector", "lm_head"],
    )
