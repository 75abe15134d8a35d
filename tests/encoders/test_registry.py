"""Encoders by name."""

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.registry import find_card

timm = pytest.importorskip("timm")


def test_names_are_exact() -> None:
    assert find_card("resnet18").architecture == "resnet18"
    with pytest.raises(PathPluginsError, match="Did you mean 'gigapath'"):
        find_card("gigapth")


def test_hub_ids_name_their_repository() -> None:
    card = find_card("hf-hub:some-lab/its-encoder")
    assert (card.hub_id, card.hub_file) == ("some-lab/its-encoder", None)
    with pytest.raises(PathPluginsError, match="'hf download some-lab/its-encoder --local-dir DIR' and --encoder DIR"):
        build_model(card)


def test_timm_models_name_theirs() -> None:
    assert find_card("resnet18").hub_id == "timm/resnet18.a1_in1k"
    assert find_card("resnet50.tv_in1k").hub_id == "timm/resnet50.tv_in1k"


def test_a_mistyped_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs" / "supervised").mkdir(parents=True)
    with pytest.raises(PathPluginsError, match=r"runs/supervise: no such folder; did you mean .*runs/supervised\?"):
        find_card(str(tmp_path / "runs" / "supervise"))
