"""Features by other code than ours, which imports are checked against."""

from dataclasses import replace
from typing import Any

import pytest
from tiny_encoders import run

from pathplugins.encoders.reference import reference_features
from pathplugins.encoders.registry import find_card

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

SMALL: dict[str, Any] = {"embed_dim": 48, "depth": 2, "num_heads": 3}


@pytest.mark.parametrize("side", [224, 96])
def test_a_plain_transformer_by_its_formulas(side: int) -> None:
    card = replace(find_card("vit_small_patch16_224"), timm_kwargs=SMALL)
    model = timm.create_model("vit_small_patch16_224", num_classes=0, **SMALL, dynamic_img_size=True)
    pixels = torch.randn(2, 3, side, side)
    features, whose = reference_features(card, model.state_dict(), pixels)
    assert whose == "the formulas of a ViT"
    torch.testing.assert_close(features, run(model, pixels), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("stride", [32, 8])
def test_a_resnet_by_torchvision(stride: int) -> None:
    kwargs = {} if stride == 32 else {"output_stride": stride}
    name = "resnet18" if stride == 32 else "resnet50"
    model = timm.create_model(name, num_classes=0, **kwargs)
    pixels = torch.randn(1, 3, 64, 96)
    card = replace(find_card(name), timm_kwargs=kwargs)
    features, whose = reference_features(card, model.state_dict(), pixels)
    assert whose == "torchvision's ResNet"
    torch.testing.assert_close(features, run(model, pixels), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["uni2-h", "virchow2", "conch", "resnet50-clam", "test_convnext", "plip"])
def test_of_other_architectures_nothing_is_claimed(name: str) -> None:
    assert reference_features(find_card(name), {"pos_embed": torch.zeros(1, 5, 4)}, torch.zeros(1, 3, 32, 32)) is None
