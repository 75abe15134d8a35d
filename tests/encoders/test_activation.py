"""The activation of CLIP encoders is published, said, or asked for: never guessed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_encoders import features, tiny

from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders import registry
from pathplugins.encoders.activation import with_activation
from pathplugins.encoders.build import build_model
from pathplugins.encoders.encoder import EncoderChoice, load_encoder
from pathplugins.encoders.registry import find_card

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def test_an_open_activation_has_to_be_said() -> None:
    base, large = find_card("pathgen-clip"), find_card("pathgen-clip-l")
    with pytest.raises(
        PathPluginsError, match=r"--encoder pathgen-clip: the weights .* --activation quick_gelu or gel"
    ):
        with_activation(base, None)
    assert with_activation(base, "gelu").architecture == "vit_base_patch16_clip_224"
    assert with_activation(base, "quick_gelu").architecture == "vit_base_patch16_clip_quickgelu_224"
    assert with_activation(large, None) == large
    assert with_activation(large, "gelu").architecture == "vit_large_patch14_clip_336"
    with pytest.raises(PathPluginsError, match="--activation relu: wanted quick_gelu or gelu"):
        with_activation(base, "relu")


def test_other_encoders_have_no_choice() -> None:
    assert with_activation(find_card("uni"), None) == find_card("uni")
    with pytest.raises(PathPluginsError, match=r"--activation gelu: --encoder plip has no choice .* leave it out"):
        with_activation(find_card("plip"), "gelu")


def test_the_model_runs_it_and_the_bag_records_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(
        tiny(find_card("pathgen-clip")), preprocess=replace(find_card("plip").preprocess, resize_px=32, crop_px=32)
    )
    monkeypatch.setattr(registry.ENCODERS, "_targets", {**registry.ENCODERS._targets, "pathgen-clip": card})
    torch.save(build_model(card).state_dict(), tmp_path / "w.pt")
    choice = EncoderChoice(name="pathgen-clip", weights=tmp_path / "w.pt", device="cpu")
    with pytest.raises(PathPluginsError, match="the weights do not tell the activation"):
        load_encoder(choice)
    plain, quick = (load_encoder(replace(choice, activation=said)) for said in ("gelu", "quick_gelu"))
    assert np.abs(features(plain) - features(quick)).max() > 1e-5
    assert (plain.provenance["activation"], quick.describe()["activation"]) == ("gelu", "quick_gelu")
