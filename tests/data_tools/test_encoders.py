import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.encoders import CARDS, Preprocess, encoder_table, find_card, from_timm

timm = pytest.importorskip("timm")


def test_cards_build_what_they_say() -> None:
    torch = pytest.importorskip("torch")
    assert len(CARDS) >= 1
    for card in CARDS:
        with torch.device("meta"):
            model = timm.create_model(card.architecture, pretrained=False, num_classes=0, **card.timm_kwargs)
        assert model.num_features == card.width


def test_gigapath_is_the_published_model() -> None:
    torch = pytest.importorskip("torch")
    card = find_card("gigapath")
    with torch.device("meta"):
        model = timm.create_model(card.architecture, pretrained=False, num_classes=0, **card.timm_kwargs)
    assert sum(p.numel() for p in model.parameters()) == 1_134_953_984  # counted here
    assert model.patch_embed.patch_size == (16, 16)
    assert card.preprocess == Preprocess(resize_px=256, crop_px=224)
    assert card.gated


def test_names_are_exact() -> None:
    assert find_card("resnet18").architecture == "resnet18"
    with pytest.raises(PathPluginsError, match="Did you mean 'gigapath'"):
        find_card("gigapth")


def test_local_hub_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my-encoder"
    folder.mkdir()
    with pytest.raises(PathPluginsError, match=r"no config\.json"):
        find_card(str(folder))
    config = {
        "architecture": "test_vit",
        "model_args": {"img_size": 96},
        "pretrained_cfg": {"input_size": [3, 96, 96], "crop_pct": 0.5, "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "pytorch_model.bin").touch()
    card = find_card(str(folder))
    assert (card.name, card.architecture, card.timm_kwargs) == ("my-encoder", "test_vit", {"img_size": 96})
    assert card.weights == folder / "pytorch_model.bin"
    assert card.preprocess == Preprocess(resize_px=192, crop_px=96, mean=(0.1, 0.2, 0.3), std=(1, 1, 1))
    with pytest.raises(PathPluginsError, match="--weights"):
        find_card(str(folder / "pytorch_model.bin"))
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(PathPluginsError, match="no timm 'architecture'"):
        find_card(str(folder))


def test_timm_preprocessing() -> None:
    found = from_timm({"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bilinear"})
    assert (found.resize_px, found.crop_px, found.interpolation) == (256, 224, "bilinear")


def test_table_has_every_card() -> None:
    heading, *rows = encoder_table()
    assert [row[0] for row in rows] == [card.name for card in CARDS]
    assert all(len(row) == len(heading) for row in rows)
    assert "gated" in rows[0]
