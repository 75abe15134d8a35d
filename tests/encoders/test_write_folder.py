"""Encoder folders as we write them: our reader and timm's get the same model back."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_encoders import PATCHES, SIDE, features, run, shaken

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.encoders.encoder import EncoderChoice, load_encoder
from pathplugins.encoders.registry import find_card
from pathplugins.encoders.write_folder import write_encoder_folder
from pathplugins.published.encoder_card import Pool
from pathplugins.published.preprocessing import Preprocess

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

PREPROCESS = Preprocess(resize_px=41, crop_px=SIDE, interpolation="bilinear", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
VIT = ("test_vit", {"img_size": SIDE, "norm_eps": 0.01}, "model")
RESNET = ("test_resnet", {"output_stride": 16}, "model")
REGISTERS = ("test_vit", {"img_size": SIDE, "reg_tokens": 2, "global_pool": ""}, "class+mean")


def untrained(architecture: str, kwargs: dict[str, Any]) -> Any:
    known = {name: value for name, value in kwargs.items() if name not in ("norm_eps", "num_classes")}
    return shaken(timm.create_model(architecture, num_classes=0, **known))


def written(out: Path, architecture: str, kwargs: dict[str, Any], pool: Pool) -> Any:
    model = untrained(architecture, kwargs)
    options = {"preprocess": PREPROCESS, "origin": {"file": "w.pth"}, "pool": pool}
    write_encoder_folder(out, architecture=architecture, model_args=kwargs, state=model.state_dict(), **options)
    return model


@pytest.mark.parametrize("kind", [VIT, RESNET, REGISTERS], ids=["vit", "resnet", "registers"])
def test_what_is_written_is_read_again(kind: tuple[str, dict[str, Any], Pool], tmp_path: Path) -> None:
    architecture, kwargs, pool = kind
    model = written(tmp_path / "eye", architecture, kwargs, pool)
    card = find_card(str(tmp_path / "eye"))
    assert (card.name, card.architecture, card.timm_kwargs, card.pool) == ("eye", architecture, kwargs, pool)
    assert card.preprocess == PREPROCESS
    encoder = load_encoder(EncoderChoice(name=str(tmp_path / "eye"), device="cpu"))
    for name, value in encoder._model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    config = read_json(tmp_path / "eye/config.json")
    assert config["num_features"] == features(encoder).shape[1]
    assert config["origin"]["file"] == "w.pth"
    assert (tmp_path / "eye/model.safetensors").stat().st_mode & 0o777 == 0o644


def test_timm_loads_the_folder_by_itself(tmp_path: Path) -> None:
    model = written(tmp_path / "eye", *RESNET)
    own = timm.create_model(f"local-dir:{tmp_path / 'eye'}", pretrained=True)
    pixels = torch.rand(2, 3, 40, 56)
    assert torch.equal(run(own, pixels), run(model, pixels))
    told = timm.data.resolve_model_data_config(own)
    assert (tuple(told["mean"]), told["interpolation"]) == (PREPROCESS.mean, "bilinear")


def test_transformers_loads_the_folder_by_itself(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", minversion="4.48")  # the first that reads timm's format
    model = written(tmp_path / "eye", "test_resnet", {"num_classes": 0}, "model")
    assert "num_classes" not in read_json(tmp_path / "eye/config.json")["model_args"]
    own = transformers.AutoModel.from_pretrained(str(tmp_path / "eye")).eval()
    pixels = torch.rand(2, 3, 40, 56)
    with torch.inference_mode():
        assert torch.equal(own(pixels).pooler_output, run(model, pixels))


@pytest.mark.parametrize(("resize", "crop"), [(287, 224), (256, 224), (224, 224), (299, 299), (331, 97)])
def test_sizes_survive_the_share_that_timm_records(resize: int, crop: int, tmp_path: Path) -> None:
    state = timm.create_model("test_resnet", num_classes=0).state_dict()
    wanted = Preprocess(resize_px=resize, crop_px=crop)
    write_encoder_folder(tmp_path, architecture="test_resnet", model_args={}, state=state, preprocess=wanted, origin={})
    assert find_card(str(tmp_path)).preprocess == wanted
    assert (
        math.floor(crop / read_json(tmp_path / "config.json")["pretrained_cfg"]["crop_pct"]) == resize
    )  # as timm does


def test_weights_of_another_model_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    state = untrained("test_resnet", {}).state_dict()
    del state["conv1.0.weight"]
    options = {"preprocess": PREPROCESS, "origin": {}, "model_args": {}}
    with pytest.raises(CheckpointError, match=r"not those of test_resnet \{\}: 1 missing: conv1\.0\.weight"):
        write_encoder_folder(tmp_path / "eye", architecture="test_resnet", state=state, **options)
    assert not (tmp_path / "eye").exists()


def test_an_unknown_pool_is_refused(tmp_path: Path) -> None:
    written(tmp_path, *RESNET)
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "pool": "max"})
    with pytest.raises(PathPluginsError, match="pool is 'max', expected one of model, class"):
        find_card(str(tmp_path))


def test_other_files_of_the_directory_stay(tmp_path: Path) -> None:
    (tmp_path / "classify.json").write_text("{}")
    written(tmp_path, *RESNET)
    assert (tmp_path / "classify.json").read_text() == "{}"
    assert len(features(load_encoder(EncoderChoice(name=str(tmp_path), device="cpu")))) == len(PATCHES)
    assert np.isfinite(features(load_encoder(EncoderChoice(name=str(tmp_path), device="cpu")))).all()
