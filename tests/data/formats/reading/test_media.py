"""Images of a sample, and the keys that would leave them out without a word."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.data.formats.reading.media import images_in, images_of
from pathplugins.data.formats.reading.rows import BadRowError


@pytest.mark.parametrize(
    ("value", "images"), [(" a.png ", ("a.png",)), (None, ()), ("", ()), (["a", "ü.png"], ("a", "ü.png")), ([], ())]
)
def test_images_of_a_cell(value: Any, images: tuple[str, ...]) -> None:
    assert images_of(value, "image") == images


@pytest.mark.parametrize("value", [3, [""], ["a", None], {"a": 1}])
def test_a_cell_that_holds_no_images(value: Any) -> None:
    with pytest.raises(BadRowError, match=r"images is .*expected a path, a list of paths, or nothing"):
        images_of(value, "images")


def test_images_under_either_name() -> None:
    assert images_in({"image": "a.png"}, "image", "images") == ("a.png",)
    assert images_in({"image": "", "images": ["a.png", "b.png"]}, "image", "images") == ("a.png", "b.png")
    assert images_in({"id": "scan.png", "conversations": [], "image_id": 7, "source": "a.jpg"}, "image") == ()
    with pytest.raises(BadRowError, match="image and images both name images"):
        images_in({"image": "a.png", "images": ["b.png"]}, "image", "images")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("img", "a"), ("Pictures", ["a"]), ("image_paths", ["a"]), ("imgae", "a"), ("image-file", "a")),
        *(("slide", "bag.H5"), ("thumbnail", ["x/y.png", "z.png"]), ("pixel_values", {"bytes": "x"})),
    ],
)
def test_images_under_a_key_that_is_not_read_are_told(key: str, value: Any) -> None:
    with pytest.raises(BadRowError, match=rf"{key} is .*images stand under images or image: rename the key") as error:
        images_in({"conversations": [], key: value}, "images", "image")
    assert error.value.reason == "misread key"
    assert images_in({"images": ["seen.png"], key: value}, "images", "image") == ("seen.png",)


@pytest.mark.parametrize("value", ["clip.MP4", ["a.wav"]])
def test_files_of_other_media_are_told_under_any_key(value: Any) -> None:
    with pytest.raises(BadRowError, match="no model here can look at or listen to"):
        images_in({"recording": value}, "image")
