"""The specification judges itself before anything is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.spec import ComposeSpec, resolve_connector


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"llm": "meta-llama/Llama-3.2-1B-Instruct"}, "llm: meta-llama/Llama-3.2-1B-Instruct is no directory"),
        (
            {"vision_model_name": "gigapat"},
            "vision_model_name: unknown vision tower 'gigapat'. Did you mean 'gigapath'?",
        ),
        ({"mm_projector_type": "gamma_mpl"}, "mm_projector_type: unknown connector .* Did you mean 'gamma_mlp'?"),
        ({"vision_feature_select_mode": "prumerg"}, "unknown token selector 'prumerg'. Did you mean 'prumerge'?"),
        (
            {"vision_feature_select_mode": "prumerge", "selector_config": {"keep": 3}},
            r"prumerge has no option \['keep'\]; it has: k_per_token, layer",
        ),
        ({"selector_config": {"k_per_token": 3}}, "is set but no selector is chosen: set vision_feature_select_mode"),
        ({"image_seq_length": -1}, r"image_seq_length must be at least 0 \(the slide token alone\), got -1"),
        ({"patches_per_wsi": 0}, "patches_per_wsi must be at least 1, got 0"),
        ({"patches_block": 0}, "patches_block must be at least 1, got 0"),
        ({"coords_mpp": 0.0}, "coords_mpp must be microns per pixel such as 0.5, got 0.0"),
        ({"random_vision_seed": None}, "vision_tower: name the weights of the vision tower"),
        ({"vision_tower": __file__}, "vision_tower: name the weights .* or ask for an untrained one"),
        ({"vision_tower": "absent.pth", "random_vision_seed": None}, "vision_tower: absent.pth does not exist"),
        ({"projector_path": "absent.bin"}, "projector_path: absent.bin does not exist"),
        ({"keep_gamma": True}, "keep_gamma: there is no trained gamma without projector_path"),
        (
            {"projector_config": {"gamma": 1}},
            "gamma_mlp has no option .*'gamma'.*: dropout, scale_min, scale_max, scale_init",
        ),
        ({"projector_config": {"scale_min": 2.5}}, "gamma_min must be below gamma_max, got 2.5 and 2.0"),
        ({"projector_config": {"scale_init": 2.5}}, "gamma 2.5 does not lie between gamma_min 0.8 and gamma_max 2.0"),
        ({"projector_config": {"dropout": 1.5}}, "gamma_mlp with .* probability"),
        ({"mm_projector_type": "linear"}, r"linear has no option \['dropout'\]; it has: none"),
    ],
    ids=str,
)
def test_what_cannot_be_composed_is_said(
    make_spec: Callable[..., ComposeSpec], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PathPluginsError, match=message):
        make_spec(**changes)


def test_options_of_a_connector_are_written_out() -> None:
    """W25: the bounds belong to the checkpoint, also when they are the defaults of today."""
    options = resolve_connector("gamma_mlp", {"scale_max": 1.8})
    assert options == {"dropout": 0.1, "scale_min": 0.8, "scale_max": 1.8, "scale_init": None}
    assert resolve_connector("mlp2x_gelu", {}) == {}


def test_the_fingerprint_sees_every_field_and_every_file(make_spec: Callable[..., ComposeSpec], tmp_path: Path) -> None:
    tower = tmp_path / "slide_encoder.pth"
    tower.write_bytes(b"1")
    connector = tmp_path / "stage2"
    connector.mkdir()
    (connector / "mm_projector.bin").write_bytes(b"1")

    def fingerprint(**changes: Any) -> str:
        options = {"vision_tower": str(tower), "random_vision_seed": None, "projector_path": str(connector)}
        return make_spec(**{**options, **changes}).fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    others = [
        fingerprint(image_seq_length=5),
        fingerprint(keep_gamma=True),
        fingerprint(vision_config={"num_heads": 8}),
        fingerprint(coords_mpp=0.25),
        fingerprint(seed=1),
    ]
    os.utime(tower, ns=(5, 5))
    others.append(fingerprint())
    (connector / "mm_projector.bin").write_bytes(b"22")
    others.append(fingerprint())
    assert len({first, *others}) == 8
