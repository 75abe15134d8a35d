"""``config.json`` of LLaVA, both layouts: what it says, and which models are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.models.foreign.llava.settings import UNPADDED, is_llava, read_settings

ORIGINAL = {
    **{"model_type": "llava_llama", "mm_vision_tower": "openai/clip-vit-large-patch14-336", "hidden_size": 48},
    **{"mm_projector_type": "mlp2x_gelu", "image_aspect_ratio": "pad", "mm_vision_select_layer": -3},
    **{"tune_mm_mlp_adapter": False, "rms_norm_eps": 1e-5, "unfreeze_mm_vision_tower": True},
}
TRANSFORMERS = {
    **{"model_type": "llava", "text_config": {"model_type": "llama"}, UNPADDED: 50},
    **{"vision_config": {"model_type": "clip_vision_model", "image_size": 28}, "vision_feature_layer": -1},
}


def folder(path: Path, config: dict[str, Any], **changes: Any) -> Path:
    write_json(path / "config.json", {**config, **changes})
    return path


def test_the_original(tmp_path: Path) -> None:
    settings = read_settings(folder(tmp_path, ORIGINAL))
    assert (settings.layout, settings.connector, settings.select_layer) == ("llava", "mlp2x_gelu", -3)
    assert settings.tower_name == "openai/clip-vit-large-patch14-336"
    assert settings.tower_trained
    assert settings.image_aspect_ratio == "pad"
    cut = read_settings(folder(tmp_path, ORIGINAL, image_aspect_ratio="square"))
    assert (cut.image_aspect_ratio, read_settings(tmp_path, image_aspect_ratio="pad").image_aspect_ratio) == (
        *("square", "pad"),
    )
    architectures = ["LlamaForCausalLM"]
    assert settings.text == {
        **{"model_type": "llama", "architectures": architectures, "hidden_size": 48, "rms_norm_eps": 1e-5}
    }
    folder(tmp_path, {name: ORIGINAL[name] for name in ("model_type", "mm_vision_tower")}, image_aspect_ratio="pad")
    assert (read_settings(tmp_path).connector, read_settings(tmp_path).select_layer) == ("linear", -2)


def test_transformers(tmp_path: Path) -> None:
    folder(tmp_path, TRANSFORMERS)
    write_json(tmp_path / "preprocessor_config.json", {"do_pad": True})
    settings = read_settings(tmp_path)
    assert (settings.layout, settings.vocabulary, settings.select_layer) == ("hf-llava", 50, -1)
    assert settings.vision == TRANSFORMERS["vision_config"]
    write_json(tmp_path / "preprocessor_config.json", {"do_pad": False})
    with pytest.raises(CheckpointError, match=r"crops images .* give --image-aspect-ratio pad"):
        read_settings(tmp_path)
    assert read_settings(tmp_path, image_aspect_ratio="pad").text == {"model_type": "llama"}
    assert read_settings(tmp_path, image_aspect_ratio="square").image_aspect_ratio == "square"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"s2": True, "mm_patch_merge_type": "spatial"}, "mm_patch_merge_type is 'spatial', wanted flat; s2 is True"),
        ({"mm_projector_type": "mlp3x_gelu"}, "mm_projector_type is 'mlp3x_gelu', wanted mlp2x_gelu or linear"),
        ({"image_aspect_ratio": None}, r"it does not say its image_aspect_ratio: --image-aspect-ratio pad, or square"),
        ({"image_aspect_ratio": "anyres"}, "image_aspect_ratio is 'anyres', wanted pad or square"),
    ],
)
def test_models_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=rf"does not fit custom_llava: {said}"):
        read_settings(folder(tmp_path, ORIGINAL, **changes))


def test_what_is_a_llava(tmp_path: Path) -> None:
    assert not is_llava(tmp_path)
    assert is_llava(folder(tmp_path, ORIGINAL))
    assert is_llava(folder(tmp_path, TRANSFORMERS))
    assert not is_llava(folder(tmp_path, {"model_type": "llama"}))
    with pytest.raises(CheckpointError, match=r"config\.json says model_type 'llama'; wanted llava, llava_llama"):
        read_settings(tmp_path)
