"""The two towers of Quilt-LLaVA are those shapes of OpenCLIP's list, told apart by their widths."""

from __future__ import annotations

from pathplugins.published.llava import LLAVA_7B
from pathplugins.published.open_clip import ARCHITECTURES, OPENAI
from pathplugins.published.quilt_llava import CLIP_L_336, QUILTNET_B_32, TOWERS


def test_shapes_are_those_of_their_names() -> None:
    for tower, name in ((QUILTNET_B_32, "ViT-B-32"), (CLIP_L_336, "ViT-L-14-336")):
        shape = ARCHITECTURES[name]
        assert (tower.width, tower.tokens) == (shape.width, (shape.image_size // shape.patch_size) ** 2)
    assert CLIP_L_336.hub_id == LLAVA_7B.vision_tower
    assert CLIP_L_336.hub_id.startswith(OPENAI)


def test_a_width_tells_the_tower() -> None:
    assert {width: tower.tokens for width, tower in TOWERS.items()} == {768: 49, 1024: 576}
