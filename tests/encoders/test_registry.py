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


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("conch_v15", "conch-v1.5"),
        ("hibou_L", "hibou-l"),
        ("midnight12k", "midnight-12k"),
        ("kaiko-ai/midnight", "midnight-12k"),
    ],
)
def test_a_row_has_the_names_of_other_tools(
    name: str, row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_card(name).name == row
    monkeypatch.chdir(tmp_path)
    folder = Path(name)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architecture": "test_vit"}')
    assert find_card(name).architecture == "test_vit"  # a folder of that name is the user's own


def test_a_row_that_timm_is_too_old_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "is_model", lambda _: False)
    with pytest.raises(PathPluginsError, match=r"musk: timm .* has no beit3_large_patch16_224, .*pip install -U timm"):
        build_model(find_card("musk"))
