"""Patch encoders trained with text: each row builds the model it describes."""

import pytest
from encoder_rows import check_row

from pathplugins.encoders.build import build_model
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders.with_text import MUSK, PATHGEN_CLIP, PATHGEN_CLIP_L, PLIP, WITH_TEXT
from pathplugins.published.pathgen_clip import BY_NAME
from pathplugins.published.preprocessing import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD

timm = pytest.importorskip("timm")
torch = pytest.importorskip("torch")


@pytest.mark.parametrize("card", WITH_TEXT, ids=lambda card: card.name)
def test_rows_build_the_models_they_describe(card: EncoderCard) -> None:
    check_row(card, {"plip": 87.8e6}.get(card.name))
    pixels = {"conch-v1.5": (IMAGENET_MEAN, IMAGENET_STD), "musk": (HALF, HALF)}.get(card.name, (CLIP_MEAN, CLIP_STD))
    assert (card.preprocess.mean, card.preprocess.std) == pixels


def test_musk_is_one_half_of_a_beit3() -> None:
    with torch.device("meta"):
        model = build_model(MUSK)
    block = model.blocks[0]
    assert [type(norm).__name__ for norm in (block.attn.norm, block.mlp.norm)] == ["LayerNorm"] * 2
    assert {norm.eps for norm in (block.norm1, block.attn.norm, block.mlp.norm, model.norm)} == {1e-5}


def test_plip_runs_openai_s_activation_and_epsilon() -> None:
    with torch.device("meta"):
        model = build_model(PLIP)
    assert model.num_prefix_tokens == 1
    assert model.norm.eps == 1e-5
    assert "QuickGELU" in type(model.blocks[0].mlp.act).__name__


@pytest.mark.parametrize("card", [PATHGEN_CLIP, PATHGEN_CLIP_L], ids=lambda card: card.name)
def test_pathgen_clip_says_what_its_checkpoint_says(card: EncoderCard) -> None:
    row = BY_NAME[card.clip]
    with torch.device("meta"):
        model = build_model(card)
    assert len(model.blocks) == row.shape.layers
    assert model.patch_embed.patch_size == (row.shape.patch_size, row.shape.patch_size)
    assert model.patch_embed.img_size == (card.preprocess.crop_px,) * 2 == (row.shape.image_size,) * 2
    assert (card.licence, card.gated, card.hub_id) == (row.licence, row.gated, row.hub_id)
    assert ("_clip_quickgelu_" in card.architecture) == (row.activation == "quick_gelu")
