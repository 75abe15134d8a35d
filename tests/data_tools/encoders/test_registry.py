import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.cli import main
from pathplugins.data_tools.commands.encoders import lines
from pathplugins.data_tools.encoders.build import build_model
from pathplugins.data_tools.encoders.pooling import feature_width
from pathplugins.data_tools.encoders.registry import (
    CARDS,
    EncoderCard,
    Preprocess,
    encoder_table,
    find_card,
    from_timm,
)

timm = pytest.importorskip("timm")


PUBLISHED = {
    "gigapath": 1_134_953_984,
    "uni": 303.35e6,
    "uni2-h": 681.39e6,
    "virchow": 631.2e6,
    "virchow2": 631.2e6,
    "h-optimus-0": 1.13e9,
    "phikon-v2": 303.35e6,
    "plip": 87.8e6,
}
"""Parameters as published, but for gigapath, which was counted."""


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_build_what_they_say(card: EncoderCard) -> None:
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        model = build_model(card)
    assert feature_width(card.pool, model) == card.width
    if card.name in PUBLISHED:
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(PUBLISHED[card.name], rel=0.005)
    assert card.source.startswith("https://")
    assert card.checked
    assert card.local_only == (card.hub_id is None)
    assert (card.hub_file is None) == (card.hub_id is None)
    assert card.preprocess is not None


def test_gigapath_is_the_published_model() -> None:
    torch = pytest.importorskip("torch")
    card = find_card("gigapath")
    with torch.device("meta"):
        model = build_model(card)
    assert sum(p.numel() for p in model.parameters()) == 1_134_953_984  # counted here
    assert model.patch_embed.patch_size == (16, 16)
    assert card.preprocess == Preprocess(resize_px=256, crop_px=224)
    assert card.gated


def test_registers_and_epsilons_are_those_of_the_cards() -> None:
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        models = {name: build_model(find_card(name)) for name in ("virchow", "virchow2", "uni2-h", "plip", "phikon")}
    prefixes = {name: model.num_prefix_tokens for name, model in models.items()}
    assert prefixes == {"virchow": 1, "virchow2": 5, "uni2-h": 9, "plip": 1, "phikon": 1}
    assert (models["plip"].norm.eps, models["phikon"].norm.eps) == (1e-5, 1e-6)
    assert "QuickGELU" in type(models["plip"].blocks[0].mlp.act).__name__


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
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(PathPluginsError, match=r"no timm 'architecture'.*\['model_type'\]"):
        find_card(str(folder))


def test_hub_ids_name_their_repository() -> None:
    card = find_card("hf-hub:some-lab/its-encoder")
    assert (card.hub_id, card.hub_file) == ("some-lab/its-encoder", None)
    with pytest.raises(PathPluginsError, match="'hf download some-lab/its-encoder --local-dir DIR' and --encoder DIR"):
        build_model(card)


def test_timm_models_name_theirs() -> None:
    assert find_card("resnet18").hub_id == "timm/resnet18.a1_in1k"
    assert find_card("resnet50.tv_in1k").hub_id == "timm/resnet50.tv_in1k"


def test_timm_preprocessing() -> None:
    found = from_timm({"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bilinear"})
    assert (found.resize_px, found.crop_px, found.interpolation) == (256, 224, "bilinear")


def test_table_has_every_card() -> None:
    heading, *rows = encoder_table()
    assert [row[0] for row in rows] == [card.name for card in CARDS]
    assert all(len(row) == len(heading) for row in rows)
    table = {row[0]: dict(zip(heading, row, strict=True)) for row in rows}
    assert (table["gigapath"]["input"], table["gigapath"]["access"]) == ("256 -> 224 px", "gated")
    assert (table["conch"]["input"], table["conch"]["normalisation"]) == ("448 px", "CLIP")
    assert table["h-optimus-0"]["normalisation"] == "its own"
    assert (table["ptcga200-simclr"]["normalisation"], table["ptcga200-simclr"]["access"]) == ("none", "own file")
    assert table["uni2-h"]["precision"] == "bfloat16"


def test_table_fits_its_place() -> None:
    rows = [("name", "width", "source"), ("abc", "7", "https://a.long.address/of/it")]
    assert lines(rows, None) == ["name  width  source", "abc   7      https://a.long.address/of/it"]
    assert lines(rows, 41) == lines(rows, None)
    assert lines(rows, 40) == ["name  width", "    source", "abc   7", "    https://a.long.address/of/it"]


def test_the_list_is_whole_in_a_pipe_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders"]) == 0
    table = capsys.readouterr().out
    assert all(card.name in table and card.source in table for card in CARDS)
    assert main(["encoders", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == [card.name for card in CARDS]
    assert records[0]["preprocess"]["crop_px"] == 224
    assert all(record["checked"] for record in records)
