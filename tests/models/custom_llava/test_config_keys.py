"""Keys of ``config.json``: a mistyped one is refused with the near name, those of Transformers stay."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, LlamaConfig

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.custom_llava.auto import register
from pathplugins.models.custom_llava.config_keys import check_part, refuse_unknown, tower_options
from pathplugins.models.custom_llava.configuration_custom_llava import OWN_KEYS, CustomLlavaConfig
from pathplugins.models.selectors import SELECTORS

TOWER = {"model_type": "longnet_vit", "in_chans": 6, "embed_dim": 16, "depth": 2, "num_heads": 4}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    register()
    CustomLlavaConfig(
        text_config=LlamaConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, vocab_size=50),
        vision_config=TOWER,
        projector_config={"type": "gamma_mlp", "dropout": 0.0},
        vision_feature_select_mode="prumerge",
        selector_config={"k_per_token": 3},
    ).save_pretrained(tmp_path)
    return tmp_path


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    settings = read_json(folder / "config.json")
    change(settings)
    write_json(folder / "config.json", settings)
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(image_seq_lenght=9), r"unknown key 'image_seq_lenght'\. Did you mean 'image_seq_length'\?"),
        (lambda c: c.update(vision_feature_select_mod="none"), r"Did you mean 'vision_feature_select_mode'\?"),
        (lambda c: c.update(patches_per_wsi=9), r"patches_per_wsi is a setting of preprocessor_config\.json"),
        (
            lambda c: c["projector_config"].update(droput=0.1),
            r"projector_config of gamma_mlp has no option \['droput'\] \(did you mean 'dropout'\?\); it has: dropout",
        ),
        (
            lambda c: c["projector_config"].update(dropout="lots"),
            r"projector_config of gamma_mlp: dropout got the text 'lots', wanted a number; correct it",
        ),
        (
            lambda c: c["selector_config"].update(k_per_tokens=2),
            r"selector_config of prumerge has no option \['k_per_tokens'\] \(did you mean 'k_per_token'\?\)",
        ),
        (
            lambda c: c["vision_config"].update(embed_dimm=64),
            r"vision_config of longnet_vit has no option \['embed_dimm'\] \(did you mean 'embed_dim'\?\); it has: ",
        ),
        (
            lambda c: c["projector_config"].update(type="gama_mlp"),
            r"unknown connector 'gama_mlp'\. Did you mean 'ga",
        ),
    ],
)
def test_a_mistyped_key_is_refused_with_the_near_name(folder: Path, change: Callable[..., None], said: str) -> None:
    AutoConfig.from_pretrained(folder)
    with pytest.raises(PathPluginsError, match=said) as told:
        AutoConfig.from_pretrained(changed(folder, change))
    assert str(told.value).startswith(f"{folder / 'config.json'}: ") or "connector" in str(told.value)


def test_keys_of_transformers_and_of_the_language_model_stay(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What hosts write beside ours: generation settings, quantization, entries of the language model."""
    theirs = {
        **{"use_cache": False, "temperature": 0.6, "max_length": 50, "pad_token_id": 0, "auto_map": {}},
        **{"rope_theta": 5e5, "num_key_value_heads": 2, "_anything": 1, "hidden_size": 32},
    }
    with caplog.at_level(logging.WARNING):
        AutoConfig.from_pretrained(changed(folder, lambda config: config.update(theirs)))
    assert [record for record in caplog.records if "reads the key" in record.message] == []


def test_a_key_of_nobody_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    changed(folder, lambda config: config.update(unheard_of=1))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            AutoConfig.from_pretrained(folder)
    said = [record.message for record in caplog.records if "unheard_of" in record.message]
    assert said == [f"{folder / 'config.json'}: nobody here reads the key 'unheard_of'; it has no effect, remove it"]


def test_own_keys_are_those_of_the_configuration() -> None:
    assert {"text_config", "image_token_id", "use_prefix_lm_mask", "selector_config"} <= set(OWN_KEYS)
    assert "kwargs" not in OWN_KEYS


def test_options_of_parts() -> None:
    assert check_part(SELECTORS, "prumerge", {"layer": 1}, "here").keys() == {"k_per_token", "layer"}
    with pytest.raises(PathPluginsError, match=r"^here has no option \['a', 'b'\]; it has: none$"):
        refuse_unknown({"b": 1, "a": 2}, (), "here")
    assert {"embed_dim", "depth"} <= set(tower_options("longnet_vit"))
    assert "select_layer" in tower_options("clip")
