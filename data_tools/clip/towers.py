"""CLIP towers: the models of Transformers and of open_clip behind one face, read from local files alone.

No code of a checkpoint runs: its weights are read by ``pathplugins.weights``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.published.pathgen_clip import checkpoint_of_file
from pathplugins.published.preprocessing import CLIP_MEAN, CLIP_STD, Preprocess
from pathplugins.weights.names.open_clip import weight_names

from ..encoders.hub_folder import WEIGHT_FILES, read_processor
from ..encoders.load_weights import read_weights, sha256
from ..optional import need
from .architectures import check_published_file, fitting, model_config, shape_of_weights

torch = need("torch")

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
NO_CLIP = "it is damaged, or no CLIP of open_clip"


class Towers(torch.nn.Module):
    """Called with normalised pixels ``[B, 3, H, W]``, gives ``[B, D]`` of length 1."""

    label: str
    preprocess: Preprocess
    weights: list[Path]
    context_length: int
    """Tokens of a text that the model reads, its start and end included."""
    activation: str | None = None
    """The activation that the user said, where nothing published says it."""

    @property
    def sha256(self) -> str:
        """Of all weight files."""
        digests = [sha256(path) for path in self.weights]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def tokens(self, texts: list[str]) -> Any:
        """Token ids int64 ``[T, L]``, cut to ``context_length``."""
        raise NotImplementedError

    def length(self, text: str) -> int:
        """Tokens of a text that is not cut; at least one above ``context_length`` if it is too long."""
        raise NotImplementedError

    def texts(self, tokens: Any) -> Any:
        """``[T, D]`` of length 1."""
        raise NotImplementedError


class TransformersTowers(Towers):
    """``CLIPModel``."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        transformers = need("transformers", extra="pathgen")
        self.label, self.preprocess = folder.resolve().name, read_processor(folder / "preprocessor_config.json")
        self.weights = _some_of(folder, (*WEIGHT_FILES, "model-*.safetensors", "pytorch_model-*.bin"))
        try:
            model, info = transformers.CLIPModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"--clip {folder}: Transformers cannot load it ({str(error).strip().splitlines()[0]}); it needs "
                "config.json, weights, preprocessor_config.json and the tokenizer's files: fetch it whole"
            ) from error
        if missing := [*info["missing_keys"], *info["mismatched_keys"]]:
            raise CheckpointError(
                f"--clip {folder}: {len(missing)} weights of the model are not in it or have another shape "
                f"({', '.join(map(str, missing[:3]))}); it needs both towers of a CLIP: fetch it again"
            )
        self.model = model.float()  # whatever the file holds, half precision is for GPUs
        self.context_length = self.model.config.text_config.max_position_embeddings

    def forward(self, pixels: Any) -> Any:
        """``[B, D]``."""
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output  # [B, C]
        return _of_length_1(self.model.visual_projection(pooled))  # [B, D]

    def tokens(self, texts: list[str]) -> Any:
        """``[T, L]``."""
        encoded = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self.context_length, return_tensors="pt"
        )
        return encoded["input_ids"]  # [T, L]; attention is causal, so what follows the end changes nothing

    def length(self, text: str) -> int:
        """Start and end included."""
        return len(self._tokenizer(text)["input_ids"])

    def texts(self, tokens: Any) -> Any:
        """``[T, D]``."""
        pooled = self.model.text_model(input_ids=tokens).pooler_output  # [T, C]
        return _of_length_1(self.model.text_projection(pooled))  # [T, D]


class OpenClipTowers(Towers):
    """A model of open_clip."""

    def __init__(self, weights: Path, label: str, config: dict[str, Any], preprocess: dict[str, Any]) -> None:
        """Build it as ``config`` (open_clip's ``model_cfg``) says and load all weights."""
        super().__init__()
        open_clip = need("open_clip", extra="pathgen")
        config = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
        text, vision = config.get("text_cfg", {}), config.get("vision_cfg", {})
        if "multimodal_cfg" in config or "hf_model_name" in text or text.get("hf_tokenizer_name"):
            raise PathPluginsError(
                f"--clip {weights}: a CoCa, or one whose text tower or tokenizer is a model of its own on a hub, which "
                "is not fetched; take a CLIP of open_clip or a directory of Transformers"
            )
        if "timm_model_name" in vision:
            vision["timm_model_pretrained"] = False
        kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
        self.model = kind(**config)
        _load_all(self.model, weights)
        side = preprocess.get("size") or vision.get("image_size", 224)
        side = side if isinstance(side, int) else side[0]
        self.label, self.weights = label, [weights]
        self.preprocess = Preprocess(
            resize_px=side,
            crop_px=side,
            interpolation=preprocess.get("interpolation", "bicubic"),
            mean=tuple(preprocess.get("mean", CLIP_MEAN)),
            std=tuple(preprocess.get("std", CLIP_STD)),
        )
        self.context_length = text.get("context_length", 77)
        self._tokenizer = open_clip.SimpleTokenizer(context_length=self.context_length)

    def forward(self, pixels: Any) -> Any:
        """``[B, D]``."""
        return _of_length_1(self.model.encode_image(pixels))  # [B, D]

    def tokens(self, texts: list[str]) -> Any:
        """``[T, L]``."""
        return self._tokenizer(texts)  # [T, L]

    def length(self, text: str) -> int:
        """Start and end included."""
        return len(self._tokenizer.encode(text)) + 2  # its start and its end

    def texts(self, tokens: Any) -> Any:
        """``[T, D]``."""
        return _of_length_1(self.model.encode_text(tokens))  # [T, D]


def read_towers(path: Path, arch: str | None, activation: str | None = None) -> Towers:
    """Read the towers in a directory, or in a file of open_clip's weights.

    Raises:
        PathPluginsError: nothing that is known.
        CheckpointError: weights that do not fit.
    """
    if path.is_file():
        return _from_file(path, arch, activation)
    if not path.is_dir():
        raise PathPluginsError(
            f"--clip {path}: no such file or directory; nothing is downloaded: fetch a model with "
            "'hf download REPOSITORY --local-dir DIR' and pass DIR"
        )
    for option, value in (("--clip-arch", arch), ("--activation", activation)):
        if value is not None:
            raise PathPluginsError(f"{option} {value}: --clip {path} is a directory, which says itself: leave it out")
    if (path / OPEN_CLIP_CONFIG).is_file() and (found := _some_of(path, OPEN_CLIP_WEIGHTS, needed=False)):
        told = _json(path / OPEN_CLIP_CONFIG)
        if "model_cfg" not in told:
            raise PathPluginsError(f"{path / OPEN_CLIP_CONFIG}: has no model_cfg, only {sorted(told)}; fetch it again")
        return OpenClipTowers(found[0], path.resolve().name, told["model_cfg"], told.get("preprocess_cfg", {}))
    kind = _json(path / "config.json").get("model_type") if (path / "config.json").is_file() else None
    if kind != "clip":
        found = (
            f"config.json says model_type {kind!r}" if kind else f"no config.json, no {OPEN_CLIP_CONFIG} with weights"
        )
        raise PathPluginsError(
            f"--clip {path}: {found}; wanted a CLIP of Transformers (model_type clip) or of open_clip, with both "
            "towers; where there is only a file of weights, pass that file and --clip-arch"
        )
    return TransformersTowers(path)


def _from_file(path: Path, arch: str | None, activation: str | None) -> Towers:
    if arch is None:
        raise PathPluginsError(
            f"--clip {path}: this weights file does not record its architecture; {_which_architecture(path)}"
        )
    config = model_config(arch, activation)
    if activation is None:
        check_published_file(path.name, arch, config)
    towers = OpenClipTowers(path, arch, config, {})
    towers.activation = activation
    return towers


def _which_architecture(path: Path) -> str:
    """Return what name and shapes of a file say of its architecture, and what to pass."""
    if published := checkpoint_of_file(path.name):
        return f"its name is that of {published.name}: pass --clip-arch {published.name}"
    if names := fitting(shape_of_weights(_weights(path))):
        return f"its shapes match {', '.join(names)}: pass --clip-arch {names[0]}"
    return "its shapes match no model of open_clip: pass the file of a CLIP"


def _weights(path: Path) -> dict[str, Any]:
    """Return the weights by open_clip's names, without what training wrappers put before these."""
    found, _ = read_weights(path)
    return {bare: found[name] for bare, name in weight_names(found).items()}


def _load_all(model: Any, path: Path) -> None:
    """Give the model its weights, all of them and nothing else."""
    found, wanted = _weights(path), model.state_dict()
    missing = [key for key in wanted if key not in found]
    surplus = [key for key in found if key not in wanted]
    reshaped = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    if missing or surplus or reshaped:
        names = fitting(shape_of_weights(found))
        shown = ", ".join([*reshaped, *missing, *surplus][:3])
        advice = f"its shapes are those of {', '.join(names)}: pass --clip-arch {names[0]}" if names else NO_CLIP
        raise CheckpointError(
            f"--clip {path} does not fit: {len(reshaped)} weights of another shape, {len(missing)} missing and "
            f"{len(surplus)} unknown ({shown}); {advice}"
        )
    model.load_state_dict(found)


def _of_length_1(features: Any) -> Any:
    return torch.nn.functional.normalize(features.float(), dim=-1)


def _some_of(folder: Path, names: tuple[str, ...], *, needed: bool = True) -> list[Path]:
    """The files of the first of the names (or patterns) that is there."""
    for name in names:
        if found := sorted(folder.glob(name)):
            return found
    if needed:
        raise CheckpointError(f"--clip {folder}: no weights in it; looked for {', '.join(names)}: fetch it whole")
    return []


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise PathPluginsError(f"{path}: not readable as JSON ({error}); fetch it again") from error
