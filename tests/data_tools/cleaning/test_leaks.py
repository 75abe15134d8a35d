"""Leaks by text, by name and by what images show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from drawn_fields import copied, fields

from pathplugins.data_tools.cleaning.examined import Examined
from pathplugins.data_tools.cleaning.leaks import SmallImages, decode, image_leaks, name_leaks, text_leaks
from pathplugins.data_tools.cleaning.pictures import _measured
from pathplugins.data_tools.cleaning.shingles import shingle

LONG = " ".join(f"word{at}" for at in range(50))


def test_texts_nearly_equal_are_found() -> None:
    captions = ["another text altogether of some length", f"{LONG} more", LONG.upper(), "", "word0 word1 word2 word3"]
    examined = Examined(texts={"never seen in any caption here": "a.json:1", LONG: "a.json:2", f"{LONG}.": "b.json:9"})
    assert sorted(text_leaks(shingle(captions), examined)) == [(1, "a.json:2"), (2, "a.json:2")]
    assert [*text_leaks(shingle(captions), Examined())] == []


def test_names_are_compared_without_folders_if_they_say_anything() -> None:
    examined = Examined(names={"x/img_00012.jpg": "a.json:1", "12.jpg": "a.json:2"})
    images = [["12.jpg"], ["y/img_00012.png"], ["other.png", "img_00012.jpg"], ["img_00013.jpg"]]
    assert [*name_leaks(images, examined)] == [(1, "a.json:1"), (2, "a.json:1")]


def test_images_are_found_whichever_is_cropped(tmp_path: Path) -> None:
    rng, drawn = np.random.default_rng(5), fields(12, seed=21)
    ours = [*drawn[:5], copied(drawn[5], 3, rng), *drawn[6:10]]
    tested = {"copy.png": copied(drawn[2], 6, rng), "whole.png": drawn[5], "new.png": drawn[11]}
    for name, image in tested.items():
        image.convert("RGB").save(tmp_path / name)
    (tmp_path / "flat.png").write_bytes(b"")
    files = {str(tmp_path / name): f"t:{name}" for name in [*tested, "flat.png"]}
    theirs = decode(files, 1, 2.0)
    assert (theirs.places, theirs.missing) == (["t:copy.png", "t:whole.png", "t:new.png"], 1)
    small = np.stack([_measured(image).small for image in ours])  # type: ignore[arg-type]
    numbers = np.arange(len(ours)) * 10
    assert [*image_leaks(small, numbers, theirs)] == [(20, "t:copy.png"), (50, "t:whole.png")]
    none = SmallImages(small[:0], [], 0)
    assert [*image_leaks(small, numbers, none)] == []
