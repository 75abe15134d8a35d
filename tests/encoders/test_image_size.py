"""Encoders for another image size."""

from dataclasses import replace

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.image_size import at_side, preprocessing_of, resized_state
from pathplugins.encoders.registry import find_card
from pathplugins.published.preprocessing import Preprocess

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def vit(side: int = 48, **kwargs: object) -> object:
    card = find_card("test_vit")
    return at_side(replace(card, timm_kwargs={"img_size": 48, **kwargs}), side)


def test_the_share_of_the_crop_stays() -> None:
    card = replace(find_card("test_vit"), preprocess=Preprocess(resize_px=256, crop_px=224, interpolation="bilinear"))
    sized = at_side(card, 336 - 336 % 16)
    assert (sized.preprocess.resize_px, sized.preprocess.crop_px, sized.timm_kwargs) == (384, 336, {"img_size": 336})
    assert sized.preprocess.interpolation == "bilinear"


def test_convolutions_take_any_size() -> None:
    assert at_side(find_card("test_resnet"), 97).timm_kwargs == {}
    with pytest.raises(PathPluginsError, match=r"50 is no multiple of the 16 px patches .*; take 48 or 64"):
        vit(50)


def test_timm_says_how_a_model_of_its_own_is_prepared() -> None:
    assert preprocessing_of(find_card("test_vit")).crop_px == timm.create_model("test_vit").default_cfg["input_size"][1]


@pytest.mark.parametrize("kwargs", [{}, {"reg_tokens": 2, "no_embed_class": True}], ids=["class", "registers"])
def test_positions_of_patches_are_resized_and_those_of_class_tokens_kept(kwargs: dict[str, object]) -> None:
    source, target = build_model(vit(**kwargs)), build_model(vit(80, **kwargs))
    state, said = resized_state(source, target)
    assert said == "position embeddings resized from 3 x 3 to 5 x 5, bicubic"
    prefix = 0 if kwargs else 1
    assert state["pos_embed"].shape == (1, prefix + 25, 64)
    assert torch.equal(state["pos_embed"][:, :prefix], source.pos_embed[:, :prefix])
    flat = source.pos_embed[:, prefix:].mean(1)
    torch.testing.assert_close(state["pos_embed"][:, prefix:].mean(1), flat, atol=0.05, rtol=0)
    target.load_state_dict(state)
    assert resized_state(source, source)[1] == ""


def test_other_weights_that_depend_on_the_size_are_refused() -> None:
    pair = [
        timm.create_model("beit_base_patch16_224", depth=1, embed_dim=48, num_heads=3, img_size=s) for s in (32, 48)
    ]
    with pytest.raises(PathPluginsError, match="relative_position_bias_table depends on the image size"):
        resized_state(*pair)
