"""What a file is, whatever its name says, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import asked_about
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data import images
from pathplugins.models.custom_llava.input_files import check_file, kind_of, reads_of

files = asked_about.files  # the fixture


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bag.png", "bag"),
        ("patch.png", "image"),
        ("patch.jpg", "image"),
        ("patch.tif", "image"),
        ("pyramid.tif", "slide"),
        ("case.SVS", "slide"),
        ("notes.txt", "unknown"),
        ("empty.h5", "unknown"),
    ],
)
def test_kinds(files: Path, name: str, kind: str) -> None:
    assert kind_of(files / name) == kind


def test_a_folder_is_a_slide_of_several_files(tmp_path: Path) -> None:
    assert kind_of(tmp_path) == "slide"


def test_a_tiff_too_large_for_an_image_is_a_slide(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 31 * 22 - 1)
    assert kind_of(files / "patch.tif") == "slide"
    assert kind_of(files / "patch.png") == "image"


def test_a_bag_written_anew_is_looked_at_anew(make_vlm: Callable[..., Any], write_h5: Callable[..., Path]) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(make_vlm())
    assert reads_of(processor) == "bags"
    bag = write_h5("asked_about", 7)
    check_file(processor, bag)
    check_file(processor, bag)
    bag.write_bytes(bag.read_bytes()[:700])
    with pytest.raises(PathPluginsError, match=r"asked_about\.h5"):
        check_file(processor, bag)
