"""Towers of timm's models against timm's own features."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from timm_eyes import KINDS, SIDE, eye
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PretrainedConfig, PreTrainedModel

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.towers import TOWERS, reads_images
from pathplugins.models.towers.timm_vision import TimmVisionTower, timm_vision

Eyes = Callable[..., SimpleNamespace]


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Eyes:
    """What `eye` makes, once; its tower is a copy of its own."""
    made = functools.cache(lambda kind, **options: eye(kind, tmp_path_factory.mktemp("eyes") / "eye", **options))

    def give(kind: str, **options: Any) -> SimpleNamespace:
        found = made(kind, **options)
        return SimpleNamespace(**{**vars(found), "tower": copy.deepcopy(found.tower)})

    return give


def tiles(count: int = 3) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(count))


def tokens_of(output: Tensor, prefix: int) -> Tensor:
    """[T, N, C] of timm's tokens or map."""
    return output[:, prefix:] if output.ndim == 3 else output.flatten(2).transpose(1, 2)


def timms(model: Any, layer: int, pixels: Tensor) -> Tensor:
    """What timm gives for a layer, by its own functions for users."""
    prefix, transformer = getattr(model, "num_prefix_tokens", 0), hasattr(model, "blocks")
    if layer == -1:
        return tokens_of(model.forward_features(pixels), prefix)
    index = layer - 1 if transformer and layer > 0 else layer
    options = {"indices": [index % len(model.feature_info)], "norm": False, "intermediates_only": True}
    return tokens_of(model.forward_intermediates(pixels, **options)[0], 0)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [(kind, layer) for kind in KINDS for layer in (None, -1, -2, 2)],
    ids=lambda value: str(value),
)
def test_tokens_are_those_of_timm(kind: str, layer: int | None, eyes: Eyes) -> None:
    made = eyes(kind, **({} if layer is None else {"select_layer": layer}))
    used = made.options["select_layer"]
    assert used == (layer or (-2 if kind in ("vit", "registers", "siglip") else -1))
    with torch.inference_mode():
        wanted = timms(made.model, used, tiles())
        cls, tokens = made.tower(tiles())
    torch.testing.assert_close(tokens, wanted, atol=1e-5, rtol=1e-5)
    assert wanted.abs().max() > 0.05
    assert tokens.shape == (3, made.tower.tokens_per_tile, made.tower.hidden_size)
    assert cls.shape == (3, made.tower.hidden_size)
    assert (made.tower.tile_size, made.tower.reads, reads_images("timm")) == (SIDE, "images", True)


def test_the_class_token_is_the_first_and_registers_are_none(eyes: Eyes) -> None:
    made = eyes("registers", select_layer=-1)
    with torch.inference_mode():
        wanted = made.model.forward_features(tiles())
        cls, tokens = made.tower(tiles())
    torch.testing.assert_close(cls, wanted[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens, wanted[:, 3:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["siglip", "resnet"])
def test_without_a_class_token_the_mean_stands_for_it(kind: str, eyes: Eyes) -> None:
    cls, tokens = eyes(kind).tower(tiles())
    torch.testing.assert_close(cls, tokens.mean(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [-1, -2])
def test_only_what_runs_is_built_and_all_of_it_learns(kind: str, layer: int, eyes: Eyes) -> None:
    tower = eyes(kind, select_layer=layer).tower.train()
    tower(tiles())[1].sum().backward()
    assert [name for name, weight in tower.named_parameters() if weight.grad is None] == []
    assert list(tower.buffers()) == []  # ZeRO-3 gives the buffers of a checkpoint to one rank alone


@pytest.mark.parametrize("kind", ["registers", "resnet", "convnext"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norms_kept_in_float32_fit_a_tower_of_another_type(kind: str, dtype: torch.dtype, eyes: Eyes) -> None:
    tower = eyes(kind, select_layer=-1).tower
    exact = tower(tiles())[1]
    tower = tower.to(dtype)
    for name, weight in tower.named_parameters():
        if weight.ndim == 1 and "norm" in name:
            weight.data = weight.data.float()
    tokens = tower(tiles())[1]
    assert tokens.dtype == dtype
    torch.testing.assert_close(tokens.float(), exact, atol=0.15, rtol=0.1)


@pytest.mark.parametrize("shape", [(2, 3, 32, 48), (2, 3, 48, 32), (2, 1, 32, 32), (3, 32, 32)])
def test_tiles_of_another_size_are_refused(shape: tuple[int, ...], eyes: Eyes) -> None:
    with pytest.raises(ValueError, match=r"reads tiles \(3, 32, 32\) .*got pixel_values \(" + str(shape)[1:-1]):
        eyes("resnet").tower(torch.zeros(shape))


class Config(PretrainedConfig):
    model_type = "holds_a_timm_tower"

    def __init__(self, vision: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.vision = vision or {}
        super().__init__(**kwargs)


class Model(PreTrainedModel):
    """What `custom_llava` does with its tower, and nothing else."""

    config_class = Config
    supports_gradient_checkpointing = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.vision_tower = timm_vision(config.vision)
        self.vision_tower.register_buffer("asked_when_loaded", torch.zeros(1), persistent=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.vision_tower:
            module.reset_parameters()


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_comes_back(kind: str, eyes: Eyes, tmp_path: Path) -> None:
    made = eyes(kind)
    model = Model(Config(made.options)).eval()
    model.vision_tower.load_state_dict(made.state)
    model.save_pretrained(tmp_path / "saved")
    again = Model.from_pretrained(tmp_path / "saved").eval()
    torch.testing.assert_close(again.vision_tower(tiles()), made.tower(tiles()))
    assert vars(again.vision_tower.config) == made.options


def test_buffers_that_no_checkpoint_holds_are_computed_again() -> None:
    """Transformers 5 builds models without memory."""
    options = {"architecture": "eva02_tiny_patch14_224", "model_args": {"depth": 2, "img_size": 28}, "image_size": 28}
    tower = TOWERS.get("timm").build(options).eval()
    pixels = torch.randn(2, 3, 28, 28)
    wanted = tower(pixels)[1]
    kept = {name: value.clone() for name, value in tower.state_dict().items()}
    for buffer in tower.buffers():
        buffer.fill_(7)
    assert not torch.allclose(tower(pixels)[1], wanted)
    tower.reset_parameters()
    tower.load_state_dict(kept)
    torch.testing.assert_close(tower(pixels)[1], wanted)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("frozen", [False, True])
def test_gradient_checkpointing_changes_nothing_but_memory(kind: str, frozen: bool, eyes: Eyes) -> None:
    made = eyes(kind)
    model = Model(Config(made.options)).train()
    model.vision_tower.load_state_dict(made.state)
    model.vision_tower.requires_grad_(not frozen)

    def step() -> list[Tensor | None]:
        images = tiles().requires_grad_(True)
        model.vision_tower(images)[1].square().sum().backward()
        return [images.grad, *(weight.grad for weight in model.parameters())]

    plain = step()
    model.zero_grad()
    model._set_gradient_checkpointing(True, checkpoint)
    torch.testing.assert_close(step(), plain)
    assert model.vision_tower.encoder.grad_checkpointing is not frozen  # frozen there is nothing to compute again


@pytest.mark.parametrize("kind", ["vit", "registers"])
def test_where_the_class_token_looks(kind: str, eyes: Eyes) -> None:
    """One head over the whole width, worked out from the input of the layer; the tokens stay what they are."""
    made = eyes(kind, select_layer=-1)
    depth, prefix = len(made.model.blocks), made.model.num_prefix_tokens
    inputs: list[Tensor] = []
    hook = made.model.blocks[depth - 2].register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.inference_mode():
        cls, tokens, (weights, keys) = made.tower.attend(tiles(), layer=depth - 2)
        torch.testing.assert_close((cls, tokens), made.tower(tiles()))
        made.model(tiles())
        hook.remove()
        block = made.model.blocks[depth - 2]
        width = made.tower.hidden_size
        q, k, _ = block.attn.qkv(block.norm1(inputs[0])).split(width, -1)  # [T, P + N, C]
        share = (torch.einsum("tc,tnc->tn", q[:, 0], k) / width**0.5).softmax(-1)[:, prefix:]
    torch.testing.assert_close(weights, share.flatten(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(keys, k[:, prefix:].flatten(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["resnet", "siglip"])
def test_a_selector_that_ranks_by_attention_needs_a_class_token(kind: str, eyes: Eyes) -> None:
    with pytest.raises(PathPluginsError, match="no class token whose attention a selector could follow; set vision_fe"):
        eyes(kind).tower.attend(tiles())


def test_rotated_attention_is_refused() -> None:
    options = {"architecture": "eva02_tiny_patch14_224", "model_args": {"depth": 2, "img_size": 28}, "image_size": 28}
    with pytest.raises(PathPluginsError, match="attention of another form than timm's ViT"):
        TOWERS.get("timm").build(options).attend(torch.zeros(1, 3, 28, 28))


def test_a_random_tower_keeps_the_size_of_its_signal() -> None:
    tower = TOWERS.get("timm").build({"architecture": "test_resnet", "image_size": SIDE})
    torch.manual_seed(0)
    tower.reset_parameters()
    assert 0.05 < float(tower(tiles())[1].detach().std()) < 50
    assert isinstance(tower, TimmVisionTower)
