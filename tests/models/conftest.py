"""Tiny models and bags of odd sizes; whatever is made is made once per session."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.models.checkpoints.compose import compose
from pathplugins.models.checkpoints.spec import ComposeSpec
from pathplugins.models.checkpoints.tiny_llm import build_tiny_llm
from pathplugins.models.custom_llava.auto import register

WIDTH = 10
TOWER = {
    "in_chans": WIDTH,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 4,
    "mlp_ratio": 2.0,
    "segment_lengths": [8, 20],
    "dilated_ratios": [1, 2],
}
PALLAVA = {
    "vision_model_name": "plip",
    "vision_config": {
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": 20,
        "patch_size": 4,
    },
    "mm_projector_type": "scale_invariant",
    "projector_config": {"num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 17, "dropout": 0.0},
}
TEXTS = ["What is the dominant tissue? The slide shows invasive carcinoma."] * 3
BUDGET, PATCHES = 6, 20

torch.set_num_threads(1)
os.environ["TOKENIZERS_PARALLELISM"] = "false"
register()


@pytest.fixture(scope="session")
def make_llm(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A language model directory per set of `build_tiny_llm` options."""
    made: dict[str, Path] = {}

    def make(**options: Any) -> Path:
        key = repr(sorted(options.items()))
        if key not in made:
            made[key] = build_tiny_llm(tmp_path_factory.mktemp("llm") / "llm", TEXTS, **options)
        return made[key]

    return make


@pytest.fixture(scope="session")
def make_spec(make_llm: Callable[..., Path]) -> Callable[..., ComposeSpec]:
    def make(llm: Path | None = None, **changes: Any) -> ComposeSpec:
        options = {
            "llm": str(llm or make_llm()),
            "vision_config": TOWER,
            "random_vision_seed": 0,
            "projector_config": {"dropout": 0.0},
            "image_seq_length": BUDGET,
            "patches_per_wsi": PATCHES,
        }
        return ComposeSpec(**{**options, **changes})

    return make


@pytest.fixture(scope="session")
def make_vlm(tmp_path_factory: pytest.TempPathFactory, make_spec: Callable[..., ComposeSpec]) -> Callable[..., Path]:
    """A composed directory per specification."""
    made: dict[str, Path] = {}

    def make(llm: Path | None = None, **changes: Any) -> Path:
        spec = make_spec(llm, **changes)
        if repr(spec) not in made:
            made[repr(spec)] = compose(spec, tmp_path_factory.mktemp("vlm") / "vlm")
        return made[repr(spec)]

    return make


@pytest.fixture(scope="session")
def load() -> Callable[..., Any]:
    """A fresh model in evaluation mode and float32."""

    def load(directory: Path, **options: Any) -> Any:
        return AutoModelForImageTextToText.from_pretrained(
            directory, **{"torch_dtype": torch.float32, **options}
        ).eval()

    return load


@pytest.fixture(scope="session")
def vlm(make_vlm: Callable[..., Path]) -> Path:
    """The usual directory: tied Llama, random_sample of 6 tokens of at most 20 patches."""
    return make_vlm(None)


@pytest.fixture(scope="session")
def shared(vlm: Path, load: Callable[..., Any]) -> Any:
    """The usual model; tests that change one load their own."""
    return load(vlm)


@pytest.fixture(scope="session")
def processor(vlm: Path) -> Any:
    return AutoProcessor.from_pretrained(vlm)


def bag_of(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1000 * seed + rows)
    cells = torch.randint(0, 300, (rows, 2), generator=generator)
    return torch.randn(rows, WIDTH, generator=generator), cells * 256  # [N, D], [N, 2]


@pytest.fixture(scope="session")
def pack(processor: Any) -> Callable[..., dict[str, Tensor]]:
    """Model inputs of samples ``(prompt, rows of each bag, answer)``, padded on a side, bags first in the text."""

    def pack(
        *samples: tuple[str, tuple[int, ...], str], side: str = "left", extra: int = 0, token: int | None = None
    ) -> dict[str, Tensor]:
        ids, labels, rows = [], [], []
        for prompt, bags, answer in samples:
            vision = [token if token is not None else processor.image_token_id] * sum(1 + min(n, BUDGET) for n in bags)
            asked, told = (
                processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer)
            )
            ids.append([*asked[:2], *vision, *asked[2:], *told])
            labels.append([-100] * (len(ids[-1]) - len(told)) + told)
            rows += bags
        length = max(map(len, ids)) + extra

        def padded(values: list[list[int]], fill: int) -> Tensor:
            return torch.tensor(
                [[fill] * (length - len(v)) + v if side == "left" else v + [fill] * (length - len(v)) for v in values]
            )

        inputs = {"input_ids": padded(ids, 1), "attention_mask": padded([[1] * len(v) for v in ids], 0)}
        if any(answer for *_, answer in samples):
            inputs["labels"] = padded(labels, -100)
        if rows:
            features, coords = (torch.cat(part) for part in zip(*map(bag_of, rows), strict=True))
            inputs |= {"patch_features": features, "patch_coords": coords, "patch_counts": torch.tensor(rows)}
            inputs["patch_seeds"] = torch.tensor(rows) * 7
        return inputs

    return pack


@pytest.fixture(scope="session")
def write_h5(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A real bag of a slide 1,700 px wide and 900 high at 0.25 mpp, as `pathdata` writes it."""
    folder = tmp_path_factory.mktemp("bags")

    def write(name: str, rows: int, *, width: int = WIDTH) -> Path:
        side = BagAttributes(
            slide_id=name,
            encoder="none",
            patch_size=256,
            patch_size_level0=512,
            mpp=0.5,
            level0_mpp=0.25,
            level0_width=51_200,
            level0_height=25_600,
        )
        cells = np.stack([np.arange(rows) // 9, np.arange(rows) % 9], 1)  # (row, column)
        features = np.random.default_rng(rows).standard_normal((rows, width)).astype(np.float32)
        write_bag(folder / f"{name}.h5", [features], cells * 512, side)
        return folder / f"{name}.h5"

    return write


@pytest.fixture(scope="session")
def pallava() -> dict[str, Any]:
    """For `make_spec` and `make_vlm`: tiles of 20 px, 25 tokens each, merged to 25 per image."""
    return PALLAVA


@pytest.fixture(scope="session")
def picture() -> Callable[..., Image.Image]:
    """Noise of a size; 37 x 44 px are 7 tiles of 20 with the thumbnail, 130 x 21 are 8, 61 x 39 are 9."""

    def draw(w: int, h: int, seed: int = 0) -> Image.Image:
        return Image.fromarray(np.random.default_rng([w, h, seed]).integers(0, 256, (h, w, 3), dtype=np.uint8))

    return draw


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(scope="session")
def grads() -> Callable[[nn.Module], dict[str, Tensor]]:
    return gradients
