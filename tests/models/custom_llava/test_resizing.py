"""Resizing by PyTorch against Pillow's: the same pixels, or nearly (feature A14)."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pathplugins.data.anyres import Size, pillow_bicubic
from pathplugins.models.custom_llava.resizing import RESIZERS, exact_bicubic, torch_bicubic

SIZES = [
    *[(1, 1), (1, 700), (700, 1), (2, 913), (5, 3)],
    *[(512, 63), (512, 64), (511, 65), (1024, 128), (341, 129)],  # about the rows taken at a time, powers of two
    *[(97, 641), (640, 480), (223, 1000), (3583, 50), (50, 3569)],  # the last two: nearly 16 times as large
    *[(3700, 40), (40, 5000)],  # which Pillow does
]


def pictures(size: Size) -> dict[str, Image.Image]:
    w, h = size
    noise = np.random.default_rng([w, h]).integers(0, 256, (h, w, 3), np.uint8)
    chess = (np.indices((h, w)).sum(0) % 2 * 255).astype(np.uint8)
    arrays = {
        "noise": noise,
        "black and white": np.where(noise > 127, 255, 0).astype(np.uint8),
        "chessboard": np.repeat(chess[..., None], 3, 2),
        "one colour": np.broadcast_to(np.array([244, 1, 127], np.uint8), (h, w, 3)).copy(),
    }
    smooth = Image.fromarray(noise[: h // 9 + 1, : w // 9 + 1]).resize(size)
    return {**{name: Image.fromarray(array) for name, array in arrays.items()}, "smooth": smooth}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_exact_is_pillows_to_the_last_pixel(size: Size) -> None:
    w, h = size
    asked = [(224, 224), (w // 2 + 1, h // 3 + 1), (min(w, 600) + 40, min(h, 600) + 7), (33, h)]
    for name, image in pictures(size).items():
        for got, wanted, each in zip(exact_bicubic(image, asked), pillow_bicubic(image, asked), asked, strict=True):
            assert got.shape == (3, each[1], each[0])
            assert np.array_equal(got, wanted), (name, each)


def test_exact_over_sizes_of_all_kinds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        w, h, new_w, new_h, tile = (int(np.exp(side)) for side in rng.uniform(1, 6.3, 5))
        image = Image.fromarray(rng.integers(0, 2, (h, w, 3), np.uint8) * 255)
        asked = [(tile, tile), (new_w, new_h)]
        for got, wanted in zip(exact_bicubic(image, asked), pillow_bicubic(image, asked), strict=True):
            assert np.array_equal(got, wanted), (image.size, asked)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # pytest drops the filter of the module
def test_fast_is_at_most_two_of_255_beside() -> None:
    differences = []
    for size in [(97, 641), (640, 480), (223, 1000), (50, 60), (1200, 301)]:
        asked = [(224, 224), (448, 220), (231, 640)]
        for name, image in pictures(size).items():
            for got, wanted in zip(torch_bicubic(image, asked), pillow_bicubic(image, asked), strict=True):
                assert got.dtype == np.uint8
                differences.append(np.abs(got.astype(int) - wanted).ravel())
                assert differences[-1].max() <= 2, (name, size)
                if name in ("noise", "smooth"):
                    assert (differences[-1] > 0).mean() < 0.01, (name, size)
    together = np.concatenate(differences)
    assert 0 < (together > 1).mean() < 1e-4


def test_on_other_processors_and_without_a_warning() -> None:
    code = """
import numpy, torch
from PIL import Image
from pathplugins.data.anyres import pillow_bicubic
from pathplugins.models.custom_llava.resizing import RESIZERS, exact_bicubic, torch_bicubic
image = Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (201, 333, 3), numpy.uint8))
sizes = [(224, 224), (150, 101)]
for exact, fast, wanted in zip(*(f(image, sizes) for f in (exact_bicubic, torch_bicubic, pillow_bicubic))):
    assert numpy.array_equal(exact, wanted)
    assert abs(fast.astype(int) - wanted).max() <= 2
print(torch.backends.cpu.get_cpu_capability())
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "AVX2" not in run.stdout


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # pytest drops the filter of the module
@pytest.mark.parametrize("size", [(97, 641), (640, 480)], ids=str)
def test_bilinear_is_pillows_or_nearly(size: Size) -> None:
    image, asked = pictures(size)["noise"], [(224, 224), (50, 33)]
    for fast in (False, True):
        for got, wanted in zip(RESIZERS["bilinear", fast](image, asked), asked, strict=True):
            pillow = np.asarray(image.resize(wanted, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
            assert got.shape == pillow.shape
            assert np.abs(got.astype(int) - pillow).max() <= (2 if fast else 0)
