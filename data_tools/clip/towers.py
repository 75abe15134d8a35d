"""CLIP towers: the interface of both libraries' models, and the model of Transformers behind it.

No code of a checkpoint runs, and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.core.optional import need
from pathplugins.encoders.hub_folder import WEIGHT_FILES, read_processor
from pathplugins.encoders.load_weights import sha256
from pathplugins.published.preprocessing import Preprocess

torch = need("torch")


class Towers(torch.nn.Module):
    """Both towers of a CLIP; called with normalised pixels ``[B, 3, H, W]`` it gives ``[B, D]`` of length 1."""

    label: str
    preprocess: Preprocess
    weights: list[Path]
    context_length: int
    """Tokens of a text that the model reads, its start and end included."""
    activation: str | None = None
    """The activation that the user named; None where the files or their publishers record it."""

    @property
    def sha256(self) -> str:
        """Return the hash of all weight files."""
        digests = [sha256(path) for path in self.weights]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def tokens(self, texts: list[str]) -> Any:
        """Return token ids int64 ``[T, L]``, cut to ``context_length``."""
        raise NotImplementedError

    def length(self, text: str) -> int:
        """Count the tokens of a text, uncut; at least one above ``context_length`` if it is too long."""
        raise NotImplementedError

    def texts(self, tokens: Any) -> Any:
        """Return features ``[T, D]`` of length 1."""
        raise NotImplementedError


class TransformersTowers(Towers):
    """``CLIPModel``."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        transformers = need("transformers", extra="pathgen")
        self.label, self.preprocess = folder.resolve().name, read_processor(folder / "preprocessor_config.json")
        self.weights = first_files(folder, WEIGHT_FILES)
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
        """Return image features ``[B, D]`` of length 1."""
        pooled = self.model.vision_model(pixel_values=pixels).pooler_output  # [B, C]
        return of_length_1(self.model.visual_projection(pooled))  # [B, D]

    def tokens(self, texts: list[str]) -> Any:
        """Return token ids ``[T, L]``."""
        encoded = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self.context_length, return_tensors="pt"
        )
        return encoded["input_ids"]  # [T, L]; attention is causal, so what follows the end changes nothing

    def length(self, text: str) -> int:
        """Count the tokens of a text, its start and end included."""
        return len(self._tokenizer(text)["input_ids"])

    def texts(self, tokens: Any) -> Any:
        """Return text features ``[T, D]`` of length 1."""
        pooled = self.model.text_model(input_ids=tokens).pooler_output  # [T, C]
        return of_length_1(self.model.text_projection(pooled))  # [T, D]


def of_length_1(features: Any) -> Any:
    """Return float32 features ``[N, D]``, each of length 1."""
    return torch.nn.functional.normalize(features.float(), dim=-1)


def first_files(folder: Path, names: tuple[str, ...], *, needed: bool = True) -> list[Path]:
    """Return the files of the first name (or pattern) that the folder has.

    Raises:
        CheckpointError: it has none, and ``needed``.
    """
    for name in names:
        if found := sorted(folder.glob(name)):
            return found
    if needed:
        raise CheckpointError(f"--clip {folder}: no weights in it; looked for {', '.join(names)}: fetch it whole")
    return []
