"""A slide becomes the bag of `pathdata run`, once for what it holds."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from talking_models import ENCODER, WIDTH

from pathplugins.commands.slide_bags import add_slide_options, bag_of_slide, made_bag, slide_options_of
from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.slide_options import SlideOptions

pytest.importorskip("openslide")
timm = pytest.importorskip("timm")
Made = Callable[..., Any]
TRIAL = SlideOptions(encoder=ENCODER, random_weights=0)


def reader(**settings: Any) -> Any:
    from pathplugins.models.custom_llava.bag_processing import CustomLlavaImageProcessor

    return CustomLlavaImageProcessor(feature_dim=WIDTH, **settings)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the encoders that were loaded."""
    from pathplugins.data_tools.encoders import bag_recipe

    loaded, load = [], bag_recipe.load_encoder

    def noted(choice: Any) -> Any:
        loaded.append(choice.name)
        return load(choice)

    monkeypatch.setattr(bag_recipe, "load_encoder", noted)
    return loaded


def test_it_is_the_bag_of_the_command(slide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pathplugins.data_tools.cli import main

    made = bag_of_slide(slide, reader(), TRIAL, device="cpu")
    told = capsys.readouterr()
    assert told.out == ""
    assert "case_1: " in told.err
    assert f"{slide}: its patches are drawn in {made.picture}" in told.err
    words = ["--patch-size", "256", "--mpp", "0.5", "--encoder", ENCODER, "--random-weights", "0", "--device", "cpu"]
    assert main(["run", str(slide), "--out", str(tmp_path / "work"), *words]) == 0
    assert made.bag.read_bytes() == (tmp_path / "work" / "bags" / "case_1.h5").read_bytes()
    assert made.picture.read_bytes() == (tmp_path / "work" / "overlays" / "case_1.png").read_bytes()


def test_what_a_slide_holds_decides(slide: Path, tmp_path: Path, encoders: list[str]) -> None:
    first = bag_of_slide(slide, reader(), TRIAL, device="cpu")
    moved = tmp_path / "elsewhere" / slide.name
    moved.parent.mkdir()
    shutil.copy(slide, moved)
    assert bag_of_slide(moved, reader(), TRIAL, device="cpu") == first
    assert encoders == [ENCODER]
    with moved.open("ab") as file:
        file.write(b"more")
    settings = (
        (moved, reader(), TRIAL),
        (slide, reader(tile_px=300), TRIAL),
        (slide, reader(), SlideOptions(encoder=ENCODER, random_weights=1)),
        (slide, reader(), SlideOptions(encoder=ENCODER, random_weights=0, mpp=1.0)),
    )
    others = [bag_of_slide(*each, device="cpu").bag for each in settings]
    assert len({first.bag, *others}) == 5
    assert len(encoders) == 5


def test_a_run_that_was_killed_goes_on(slide: Path, encoders: list[str]) -> None:
    made = bag_of_slide(slide, reader(), TRIAL, device="cpu")
    whole, coords = made.bag.read_bytes(), made.bag.parent.parent / "coords" / "case_1.h5"
    made.bag.unlink()
    half = made.bag.with_name(".case_1.h5.1.tmp")
    half.write_bytes(whole[:99])
    cut = coords.stat().st_mtime_ns
    assert bag_of_slide(slide, reader(), TRIAL, device="cpu") == made
    assert made.bag.read_bytes() == whole
    assert coords.stat().st_mtime_ns == cut
    assert len(encoders) == 2


def test_weights_are_told_by_what_they_hold(slide: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = timm.create_model(ENCODER, num_classes=0)
    bags = []
    torch.save(model.state_dict(), tmp_path / "a.pt")
    shutil.copy(tmp_path / "a.pt", tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        options = SlideOptions(encoder=ENCODER, encoder_weights=tmp_path / name)
        bags.append(bag_of_slide(slide, reader(), options, device="cpu").bag)
    torch.save({key: value + 1 for key, value in model.state_dict().items()}, tmp_path / "b.pt")
    bags.append(bag_of_slide(slide, reader(), options, device="cpu").bag)
    assert bags[0] == bags[1] != bags[2]
    with pytest.raises(PathPluginsError, match="no such file or folder"):
        bag_of_slide(slide, reader(), SlideOptions(encoder=ENCODER, encoder_weights=tmp_path / "c.pt"), device="cpu")


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ({}, {}, "does not record which patch encoder .* add --encoder NAME"),
        ({}, {"encoder": ENCODER}, "made with the patch encoder test_vit; add --encoder-weights FILE.* --download"),
        ({}, {"encoder": "uni", "random_weights": 0}, "gives 1024 features a patch, the model takes 64"),
        ({}, {"encoder": "test_vti", "random_weights": 0}, "unknown encoder 'test_vti'. Did you mean 'test_vit'"),
        ({"expects_encoder": "uni"}, {"encoder": ENCODER, "random_weights": 0}, "trained on features of uni; leave"),
        ({"expects_encoder": ENCODER}, {"random_weights": 0}, "untrained weights give others"),
        ({"expects_encoder": ENCODER}, {}, "patch encoder test_vit; add --encoder-weights FILE"),
        ({}, {"encoder": ENCODER, "random_weights": 0, "patch_size": 0}, "--patch-size must be at least 1 pixel"),
        ({}, {"encoder": ENCODER, "random_weights": 0, "mpp": 0.0}, "--mpp is microns per pixel, above 0"),
    ],
)
def test_what_cannot_be_right_is_refused_before_any_work(
    settings: dict[str, Any], options: dict[str, Any], said: str, slide: Path, cache: Path
) -> None:
    with pytest.raises(PathPluginsError, match=said):
        bag_of_slide(slide, reader(**settings), SlideOptions(**options), device="cpu")
    assert not cache.exists()


def test_a_trial_run_of_another_encoder_needs_an_option(slide: Path) -> None:
    allowed = reader(expects_encoder="uni", allow_other_encoder=True)
    assert bag_of_slide(slide, allowed, TRIAL, device="cpu").bag.is_file()


def test_one_slide_that_can_be_read(slide: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("a.svs", "b.svs"):
        shutil.copy(slide, folder / name)
    with pytest.raises(PathPluginsError, match=r"holds 2 slides; give one of them, .*a\.svs perhaps"):
        bag_of_slide(folder, reader(), TRIAL, device="cpu")
    (folder / "a.svs").write_bytes(b"II*\0 and so on")
    with pytest.raises(PathPluginsError, match=r"--slide .*a\.svs: "):
        bag_of_slide(folder / "a.svs", reader(), TRIAL, device="cpu")


def test_options_of_the_command() -> None:
    parser = argparse.ArgumentParser()
    add_slide_options(parser)
    assert slide_options_of(parser.parse_args([])) == SlideOptions()
    words = ["--encoder", "uni", "--random-weights", "3", "--patch-size", "9", "--mpp", "1", "--slide-mpp", "0.3"]
    wanted = SlideOptions(encoder="uni", random_weights=3, patch_size=9, mpp=1.0, slide_mpp=0.3)
    assert slide_options_of(parser.parse_args(words)) == wanted
    with pytest.raises(PathPluginsError, match="exclude each other"):
        SlideOptions(random_weights=0, download=True)


def test_what_was_made_is_found_and_nothing_is_made(slide: Path, cache: Path, encoders: list[str]) -> None:
    assert made_bag(slide, reader(), TRIAL) is None
    assert encoders == []
    made = bag_of_slide(slide, reader(), TRIAL, device="cpu")
    assert made_bag(slide, reader(), TRIAL) == made
    made.bag.unlink()
    assert made_bag(slide, reader(), TRIAL) is None
    with pytest.raises(PathPluginsError, match="add --encoder NAME"):
        made_bag(slide, reader(), SlideOptions())
