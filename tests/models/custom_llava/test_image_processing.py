"""Images to tiles to floats: the values of the per-tile processor, counted beforehand (features A13, A14, A29)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
import transformers
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.anyres import tile_image
from pathplugins.data.images import BadImage
from pathplugins.models.custom_llava.image_processing import CLIP_MEAN, CLIP_STD, TiledImageProcessor
from pathplugins.models.custom_llava.processing_custom_llava import load_image_processor

Picture = Callable[..., Image.Image]

SIZES = {(97, 161): 5, (60, 900): 6, (500, 260): 7, (1560, 200): 8, (700, 333): 9, (333, 1001): 9}
"""(w, h) -> tiles of 224 with the thumbnail."""
CLASSES = [getattr(transformers, name) for name in dir(transformers) if re.fullmatch(r"CLIPImageProcessor(Pil)?", name)]
"""On Pillow in Transformers 4; in 5 on torchvision, and ``Pil`` on Pillow."""
CLIP = {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}
SETTINGS: dict[str, Any] = {
    "tile_size": 28,
    "tokens_per_tile": 7,
    "merged_tiles": False,
    "image_aspect_ratio": "pad",
    "image_mean": [0.5, 0.25, 0.125],
    "image_std": [0.3, 0.2, 0.1],
    "interpolation": "bicubic",
    "fast_resize": True,
    "vision_feature_select_mode": "stride",
    "image_seq_length": 3,
    "seed": 5,
}


@pytest.mark.parametrize("of", CLASSES, ids=lambda of: of.__name__)
def test_a13_values_are_those_of_the_per_tile_processor(of: Any, picture: Picture) -> None:
    """Which is told the size it has: PA-LLaVA's resizes and crops each tile of 224 to 224."""
    assert "Pil" in CLASSES[-1].__name__ or len(CLASSES) == 1
    per_tile = of(**CLIP)
    for size in SIZES:
        image = picture(*size)
        tiles = tile_image(image, 224).astype(np.uint8).transpose(0, 2, 3, 1)
        wanted = [per_tile(Image.fromarray(tile), return_tensors="pt")["pixel_values"][0] for tile in tiles]
        got = TiledImageProcessor()([image])["pixel_values"]
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, torch.stack(wanted), atol=2e-6, rtol=0)


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("ratio", ["anyres", "pad", "square"])
def test_a29_tokens_are_counted_as_tiles_are_made(merged: bool, ratio: str, picture: Picture, tmp_path: Path) -> None:
    processor = TiledImageProcessor(merged_tiles=merged, image_aspect_ratio=ratio, tokens_per_tile=11)
    paths = []
    for number, size in enumerate(SIZES):
        paths.append(tmp_path / f"{number}.png")
        picture(*size).save(paths[-1])
    wanted = list(SIZES.values()) if ratio == "anyres" else [1] * len(SIZES)
    made = processor(paths)
    assert made["tile_counts"].tolist() == wanted
    assert made["tile_counts"].dtype == torch.int64
    assert made["pixel_values"].shape == (sum(wanted), 3, 224, 224)
    tokens = [11 if merged else 11 * count for count in wanted]
    assert [processor.num_image_tokens(path) for path in paths] == tokens
    assert [processor.num_image_tokens(str(path)) for path in paths] == tokens
    assert [processor.num_image_tokens(picture(*size)) for size in SIZES] == tokens


def test_images_are_packed_one_after_the_other(picture: Picture, tmp_path: Path) -> None:
    images = [picture(97, 161), picture(60, 900), picture(700, 333)]
    images[1].save(tmp_path / "one.png")
    processor = TiledImageProcessor(tile_size=32)
    alone = [processor([image])["pixel_values"] for image in images]
    together = processor([images[0], tmp_path / "one.png", images[2]], keys=["a", "b", "c"], epoch=3)
    assert together["tile_counts"].tolist() == [len(part) for part in alone]
    assert torch.equal(together["pixel_values"], torch.cat(alone))
    assert not torch.equal(alone[0][0], alone[0][1])
    images[0].getpixel((0, 0))
    assert np.array_equal(np.asarray(images[0]), np.asarray(picture(97, 161)))  # untouched


def test_tokens_of_a_file_written_anew(picture: Picture, tmp_path: Path) -> None:
    processor, path = TiledImageProcessor(merged_tiles=False, tokens_per_tile=1), tmp_path / "image.png"
    picture(97, 161).save(path)
    assert processor.num_image_tokens(path) == 5
    path.unlink()
    picture(700, 333).save(path)
    assert processor.num_image_tokens(path) == 9
    path.unlink()
    with pytest.raises(BadImage, match=r"image\.png: no such file"):
        processor.num_image_tokens(path)


def test_pad_is_the_square_of_llava(picture: Picture) -> None:
    """LLaVA 1.5: on int(255 * mean), at floor((side - short) / 2), then CLIP's own resizing."""
    processor, clip = TiledImageProcessor(image_aspect_ratio="pad"), CLASSES[-1](**CLIP)
    for w, h in SIZES:
        side = max(w, h)
        square = Image.new("RGB", (side, side), (122, 116, 104))
        square.paste(picture(w, h), ((side - w) // 2, (side - h) // 2))
        wanted = clip(square, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(processor([picture(w, h)])["pixel_values"], wanted, atol=2e-6, rtol=0)


def test_square_is_the_middle_that_clips_own_processor_cuts_out(picture: Picture) -> None:
    processor, clip = TiledImageProcessor(image_aspect_ratio="square"), CLASSES[-1](**CLIP)
    columns_first = int(PIL.__version__.split(".")[0]) >= 13  # CLIP's pixels of tall images are others since then
    for w, h in (*SIZES, (224, 224), (30, 31), (31, 30), (225, 226)):
        if columns_first and h > w:
            continue
        wanted = clip(picture(w, h), return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(processor([picture(w, h)])["pixel_values"], wanted, atol=2e-6, rtol=0)
    assert processor.num_image_tokens(picture(333, 1001)) == 196


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # pytest drops the filter of the module
@pytest.mark.parametrize("ratio", ["anyres", "pad", "square"])
def test_fast_resize_is_nearly_the_same(ratio: str, picture: Picture) -> None:
    fast = TiledImageProcessor(fast_resize=True, image_aspect_ratio=ratio)
    exact = TiledImageProcessor(image_aspect_ratio=ratio)
    steps = 255 * torch.tensor(CLIP_STD)[:, None, None]
    for size in SIZES:
        off = (fast([picture(*size)])["pixel_values"] - exact([picture(*size)])["pixel_values"]).abs() * steps
        assert 0 < off.max() < 2.001, size
        assert (off > 0.5).float().mean() < 0.02, size


def test_null_inputs_are_one_black_tile() -> None:
    processor = TiledImageProcessor(tile_size=20, tokens_per_tile=13)
    null = processor.null_inputs()
    assert null["tile_counts"].tolist() == [1]
    wanted = -torch.tensor(CLIP_MEAN) / torch.tensor(CLIP_STD)
    torch.testing.assert_close(null["pixel_values"], wanted.view(1, 3, 1, 1).expand(1, 3, 20, 20))
    assert processor.null_tokens == 13
    black = processor([Image.new("RGB", (31, 50))])["pixel_values"][:1]
    assert torch.equal(null["pixel_values"], black)


def test_settings_go_through_a_file(picture: Picture, tmp_path: Path) -> None:
    processor = TiledImageProcessor(**SETTINGS)
    processor.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "preprocessor_config.json").read_text())
    counted = {"connector_tokens": None, "extra_tokens": 0}
    assert written == {**SETTINGS, **counted, "image_processor_type": "TiledImageProcessor"}
    for again in (load_image_processor(tmp_path), TiledImageProcessor.from_pretrained(tmp_path)):
        assert isinstance(again, TiledImageProcessor)
        assert again.to_dict() == processor.to_dict()
    image = picture(61, 61)
    usual = TiledImageProcessor(**{**SETTINGS, "image_mean": [0.0] * 3, "image_std": [1.0] * 3, "fast_resize": False})
    mean, std = (torch.tensor(SETTINGS[name])[:, None, None] for name in ("image_mean", "image_std"))
    exact = TiledImageProcessor(**{**SETTINGS, "fast_resize": False})([image])["pixel_values"]
    torch.testing.assert_close(exact, (usual([image])["pixel_values"] - mean) / std)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile_size": 0}, "tile_size is 0, expected a positive integer"),
        ({"tile_size": 22.5}, "tile_size is 22.5, expected a positive integer"),
        ({"tokens_per_tile": "196"}, "tokens_per_tile is '196', expected a positive integer"),
        ({"image_aspect_ratio": "crop"}, r"image_aspect_ratio is 'crop', expected 'anyres' .*, 'pad' .* or 'square'"),
        ({"interpolation": "box"}, r"interpolation is 'box', expected one of \['bicubic', 'bilinear'\]; correct it"),
        ({"image_mean": [0.5]}, r"image_mean is \[0.5\] .* expected a number each for red, green and blue"),
        ({"image_std": [0.1, 0.0, 0.1]}, "image_std above 0"),
        ({"tile_sise": 224}, r"unknown image processor setting 'tile_sise'. Did you mean 'tile_size'\?"),
        ({"do_resize": True}, "unknown image processor setting 'do_resize'.*preprocessor_config.json"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        TiledImageProcessor(**settings)


def test_what_transformers_writes_beside_the_settings_is_no_mistake() -> None:
    TiledImageProcessor(processor_class="CustomLlavaProcessor", auto_map={}, image_processor_type="TiledImageProcessor")


def test_an_image_that_cannot_be_used_is_named(picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"absent\.png: no such file"):
        TiledImageProcessor()([picture(50, 40), tmp_path / "absent.png"])
    with pytest.raises(BadImage, match="the image has pixels of mode I"):
        TiledImageProcessor()([Image.new("I", (50, 40))])
    other = [picture(50, 40).convert(mode) for mode in ("L", "CMYK")]
    grey = TiledImageProcessor()(other)
    assert torch.equal(grey["pixel_values"][:5], TiledImageProcessor()([other[0].convert("RGB")])["pixel_values"])
