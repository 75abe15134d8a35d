"""LLaVA v1.5: the rows agree with the CLIP they name."""

from pathplugins.published.llava import LLAVA_7B, PATHGEN_LLAVA
from pathplugins.published.open_clip import ARCHITECTURES, OPENAI
from pathplugins.published.pathgen_clip import BY_NAME


def test_tokens_are_the_patches_of_the_tower() -> None:
    for row, shape in ((LLAVA_7B, ARCHITECTURES["ViT-L-14-336"]), (PATHGEN_LLAVA, BY_NAME["pathgen-clip-l"].shape)):
        assert row.image_tokens == (shape.image_size // shape.patch_size) ** 2
        assert row.language_model.startswith("lmsys/vicuna-")
    assert LLAVA_7B.vision_tower.startswith(OPENAI)
