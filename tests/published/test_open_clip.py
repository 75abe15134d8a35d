"""OpenCLIP's architectures, as OpenCLIP itself has them."""

import pytest

from pathplugins.published.open_clip import ARCHITECTURES, Architecture, architecture_name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_rows_are_those_of_open_clip(name: str) -> None:
    row, config = ARCHITECTURES[name], pytest.importorskip("open_clip").get_model_config(name)
    vision = config["vision_cfg"]
    told = (vision["width"], vision["layers"], vision["patch_size"], vision["image_size"], config["embed_dim"])
    assert told == (row.width, row.layers, row.patch_size, row.image_size, row.projection_dim)
    assert architecture_name(row) == name


def test_a_shape_that_is_not_listed_has_no_name() -> None:
    assert architecture_name(Architecture(width=8, layers=1, patch_size=2, image_size=6, projection_dim=3)) is None
