"""One slide to a bag: the steps of the recipe, what it needs, and where its result lies."""

from pathlib import Path

import pytest

from pathplugins.data_tools.encoders.bag_recipe import BagJob, BagRecipe
from pathplugins.data_tools.encoders.encode_slide import FeatureOptions
from pathplugins.data_tools.tiling.spec import TilingSpec
from pathplugins.encoders.origin import EncoderChoice

pytest.importorskip("openslide")
pytest.importorskip("timm")

TINY = EncoderChoice(name="test_vit", random_seed=0, device="cpu")


def recipe(work: Path, encoder: EncoderChoice | None) -> BagRecipe:
    return BagRecipe(command="run", work=work, bags=work / "bags", encoder=encoder)


def test_a_slide_is_cut_and_encoded_and_told_batch_by_batch(slides_folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    steps = recipe(tmp_path, TINY).open("cpu")
    job = BagJob(slide_id="a", slide=slides_folder / "a.svs", tiling=TilingSpec(patch_size=256, mpp=0.5))
    outcome = steps(job, lambda *words: told.append(words))
    assert outcome.status == "done"
    assert outcome.patches > 0
    assert told[-1] == ("a", outcome.patches, outcome.patches)
    assert (tmp_path / "coords" / "a.h5").is_file()
    assert (tmp_path / "bags" / "a.h5").is_file()
    again = recipe(tmp_path, TINY).open("cpu")(job, lambda *words: None)
    assert again.status == "skipped"


def test_the_result_is_the_bag_or_the_coordinates(tmp_path: Path) -> None:
    assert recipe(tmp_path, TINY).result_path("x") == tmp_path / "bags" / "x.h5"
    assert recipe(tmp_path, None).result_path("x") == tmp_path / "coords" / "x.h5"
    assert (recipe(tmp_path, TINY).device, recipe(tmp_path, None).device) == ("cpu", None)


def test_readers_are_never_fewer_than_asked_for(tmp_path: Path) -> None:
    four = BagRecipe(command="run", work=tmp_path, bags=tmp_path, features=FeatureOptions(readers=4))
    assert (four.with_readers(7).features.readers, four.with_readers(2).features.readers) == (7, 4)


def test_an_encoder_needs_torch_and_timm(tmp_path: Path) -> None:
    needed = {name for names in recipe(tmp_path, TINY).needs.values() for name in names}
    assert {"openslide", "torch", "timm"} <= needed
    assert "timm" not in {name for names in recipe(tmp_path, None).needs.values() for name in names}
