"""CLIP's vision transformer against Transformers' own (features A11)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import CLIPVisionConfig as TransformersConfig
from transformers import CLIPVisionModel, PretrainedConfig, PreTrainedModel

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.towers import TOWERS
from pathplugins.models.towers.clip_checkpoint import read_clip
from pathplugins.models.towers.clip_vit import ClipVisionConfig, ClipVisionTower

SMALL: dict[str, Any] = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "image_size": 15,
    "patch_size": 5,
}


def reference(options: dict[str, Any] | None = None) -> CLIPVisionModel:
    torch.manual_seed(3)
    model = CLIPVisionModel(TransformersConfig(**(options or SMALL))).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def bare(model: CLIPVisionModel) -> dict[str, Tensor]:
    return {name.removeprefix("vision_model."): value for name, value in model.state_dict().items()}


def tower(model: CLIPVisionModel | None = None, **changes: Any) -> ClipVisionTower:
    """A tower with the weights of ``model``, those of the layers it has none of left out."""
    part = ClipVisionTower(ClipVisionConfig(**{**SMALL, **changes})).eval()
    state = bare(model or reference())
    part.load_state_dict({name: state[name] for name in part.state_dict()})
    return part


def tiles(count: int = 3) -> Tensor:
    return torch.randn(count, 3, 15, 15, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("layer", [-2, -1, 4, 1, 0, -5])
def test_it_gives_the_hidden_state_of_transformers(layer: int) -> None:
    model, images = reference(), tiles()
    wanted = model(images, output_hidden_states=True).hidden_states[layer]
    part = tower(model, select_layer=layer)
    cls, tokens = part(images)
    torch.testing.assert_close(cls, wanted[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens, wanted[:, 1:], atol=1e-5, rtol=1e-5)
    assert (part.hidden_size, part.tile_size, part.tokens_per_tile, part.reads) == (24, 15, 9, "images")
    assert tokens.shape == (3, part.tokens_per_tile, part.hidden_size)


def test_only_what_runs_is_built_and_all_of_it_is_used() -> None:
    part = tower()
    names = {name for name, _ in part.named_parameters()}
    assert not [name for name in names if "post_" in name or "encoder.layers.3." in name]
    assert "encoder.layers.2.mlp.fc2.weight" in names
    assert part.config.num_hidden_layers == 4
    sum(x.sum() for x in part.train()(tiles())).backward()
    assert [name for name, p in part.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", ["clip", "plip"])
def test_both_names_build_vit_b_16_by_default(name: str) -> None:
    with torch.device("meta"):
        part = TOWERS.get(name).build({})
    assert (part.hidden_size, part.tile_size, part.tokens_per_tile) == (768, 224, 196)
    assert sum(p.numel() for p in part.parameters()) == 85_799_424 - 7_087_872 - 2 * 768  # last layer, post_layernorm


@pytest.mark.parametrize("shape", [(2, 3, 15, 20), (2, 3, 20, 15), (2, 1, 15, 15), (3, 15, 15)])
def test_tiles_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"reads tiles \(3, 15, 15\) .*got pixel_values \(" + str(shape)[1:-1]):
        tower()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 5}, "hidden_size must be a multiple of num_attention_heads=5, got 24"),
        ({"patch_size": 4}, "image_size must be a multiple of patch_size=4, got 15"),
        ({"select_layer": 5}, r"select_layer must be in \[-5, 4\] for 4 layers, got 5"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be positive, got 0"),
    ],
)
def test_impossible_shapes_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        ClipVisionConfig(**{**SMALL, **changes})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norms_kept_in_float32_fit_a_tower_of_another_type(dtype: torch.dtype) -> None:
    part, exact = tower().to(dtype), tower()
    for module in part.modules():
        if isinstance(module, nn.LayerNorm):
            module.float()
    _, tokens = part(tiles())
    assert tokens.dtype == dtype
    torch.testing.assert_close(tokens.float(), exact(tiles())[1], atol=0.1, rtol=0.1)


def test_sdpa_is_the_default_kernel() -> None:
    assert tower().encoder.config._attn_implementation == "sdpa"


def test_reset_numbers_the_positions_again() -> None:
    """Transformers 5 leaves garbage in a buffer no checkpoint holds."""
    part = tower()
    part.embeddings.position_ids = torch.full((1, 10), 7)
    before = part(tiles())[1]
    kept = {name: value.clone() for name, value in part.state_dict().items()}
    part.reset_parameters()
    assert part.embeddings.position_ids.tolist() == [list(range(10))]
    assert "embeddings.position_ids" not in part.state_dict()
    assert not torch.equal(part.embeddings.class_embedding, kept["embeddings.class_embedding"])
    part.load_state_dict(kept)
    assert not torch.equal(part(tiles())[1], before)


class Config(PretrainedConfig):
    model_type = "holds_a_clip_tower"


class Model(PreTrainedModel):
    """What `custom_llava` does with its tower, and nothing else."""

    config_class = Config
    supports_gradient_checkpointing = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.vision_tower = ClipVisionTower(ClipVisionConfig(**SMALL))
        self.vision_tower.register_buffer("asked_when_loaded", torch.zeros(1), persistent=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.vision_tower:
            module.reset_parameters()


def test_a_saved_model_comes_back(tmp_path: Any) -> None:
    model = Model(Config()).eval()
    model.vision_tower.load_state_dict(tower().state_dict())
    model.save_pretrained(tmp_path)
    again = Model.from_pretrained(tmp_path).eval()
    assert again.vision_tower.embeddings.position_ids.tolist() == [list(range(10))]
    torch.testing.assert_close(again.vision_tower(tiles()), model.vision_tower(tiles()))


@pytest.mark.parametrize("frozen", [False, True])
def test_gradient_checkpointing_changes_nothing_but_memory(frozen: bool) -> None:
    model = Model(Config()).train()
    model.vision_tower.load_state_dict(tower().state_dict())
    model.vision_tower.requires_grad_(not frozen)
    calls = []

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return checkpoint(*args, use_reentrant=False, **kwargs)

    def step() -> list[Tensor | None]:
        images = tiles().requires_grad_(True)
        model.vision_tower(images)[1].square().sum().backward()
        return [images.grad, *(p.grad for p in model.parameters())]

    plain = step()
    model.zero_grad()
    model._set_gradient_checkpointing(True, counting)
    torch.testing.assert_close(step(), plain)
    assert len(calls) == 3


@pytest.mark.parametrize("layer", [None, 0, 1, 2])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_w28_where_the_class_token_looks(layer: int | None, checkpointed: bool) -> None:
    """One head over the whole width, worked out from the input of the layer; the tokens stay what they are."""
    model, images = reference(), tiles(4)
    part = tower(model)  # three of four layers
    if checkpointed:
        part.encoder.gradient_checkpointing = True
        part.encoder._gradient_checkpointing_func = checkpoint
        part.train()
    cls, tokens, (weights, keys) = part.attend(images, layer=layer)
    wanted = part.eval()(images)
    torch.testing.assert_close((cls, tokens), wanted)
    index = 2 if layer is None else layer
    block = model.get_submodule(("vision_model." if hasattr(model, "vision_model") else "") + f"encoder.layers.{index}")
    x = block.layer_norm1(model(images, output_hidden_states=True).hidden_states[index])  # [T, N + 1, C]
    k, q = block.self_attn.k_proj(x), block.self_attn.q_proj(x[:, 0])
    share = (torch.einsum("tc,tnc->tn", q, k) / 24**0.5).softmax(-1)[:, 1:]
    torch.testing.assert_close(weights, share.flatten(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(keys, k[:, 1:].flatten(0, 1), atol=1e-5, rtol=1e-5)


def test_w28_the_layer_behind_the_selected_one_is_kept_for_its_attention(tmp_path: Path) -> None:
    """As LLaVA-PruMerge is published: tokens of hidden state -2, attention of the last layer."""
    model, images = reference(), tiles(3)
    model.save_pretrained(tmp_path)
    options, state = read_clip(str(tmp_path), {"looks_ahead": True})
    part = ClipVisionTower(ClipVisionConfig(**options)).eval()
    part.load_state_dict(state, strict=True)
    *plain, (weights, keys) = part.attend(images, layer=3)
    torch.testing.assert_close(tuple(plain), tower(model)(images))
    block = model.get_submodule(("vision_model." if hasattr(model, "vision_model") else "") + "encoder.layers.3")
    x = block.layer_norm1(model(images, output_hidden_states=True).hidden_states[3])  # [T, N + 1, C]
    k, q = block.self_attn.k_proj(x), block.self_attn.q_proj(x[:, 0])
    share = (torch.einsum("tc,tnc->tn", q, k) / 24**0.5).softmax(-1)[:, 1:]
    torch.testing.assert_close(weights, share.flatten(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(keys, k[:, 1:].flatten(0, 1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(part.attend(images)[2].weights, weights)
    with pytest.raises(PathPluginsError, match="no layer comes behind select_layer -1"):
        ClipVisionConfig(looks_ahead=True, select_layer=-1)


def test_w28_a_layer_that_does_not_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 2\]: the tower runs 3, got 3"):
        tower().attend(tiles(), layer=3)
