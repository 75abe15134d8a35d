"""Pictures of patches per second and core, from JPEG file to numbers for a model: the published order against ours.

Run from the repository root, with kornia somewhere that is not an environment of the project:
``pip install --no-deps --target DIR kornia kornia_rs; PYTHONPATH=DIR python -m benchmarks.patch_pictures
[--pictures N] [--rounds N]``.

The pictures are the demo generator's tissue, 512 px at 0.39 um/px as JPEG of quality 90, and where there is a real
slide, tissue of it; they end as float32 of 224 px. Each is cut at random (0.8 to 1 of its area), its colours change
(chance 0.8), it is blurred (chance 0.5), flipped and normalised; chances and ranges are the same for all ways.

*kornia* opens and decodes with Pillow and then lets kornia do the published steps in the published order, one picture
at a time; its blur needs a size, and gets ours at the widest (15 px). *Pillow* is what the published classification
does: torchvision's transforms on Pillow pictures of bytes. *Ours* is `PatchDataset`, then `BatchAugment` on batches of
32. *Decode* is the bound of the three: open, read and decode every picture to an array, at full scale. *Half* is the
same at half scale, which is as far down as any crop allows, so a bound of ours.

One thread; times are of the processor, the ways take turns, and the shortest turn of each counts. KiB are those that
are read for a picture; every way reads each file once, whole. Bar: ours is 4 times as fast as kornia, on the made
pictures. The table of a real slide has no bar.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision import transforms
from torchvision.transforms.functional import to_tensor

from benchmarks.measure import fastest, verdict
from pathplugins.classify.pictures import SUPERVISED, BatchAugment, PatchDataset
from pathplugins.data_tools.slides.demo import KINDS, paint
from pathplugins.data_tools.slides.slide import Slide

PATCH_PX, SIZE, MPP, BATCH = 512, 224, 0.39, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BAR = 4.0
REAL_SLIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "CMU-1-Small-Region.svs"


@dataclass(frozen=True)
class Files:
    """Pictures in a folder: what `PatchDataset` asks of a patch set."""

    root: Path
    names: list[str]
    labels: np.ndarray
    task = "classes"
    patch_px = PATCH_PX

    def __len__(self) -> int:
        return len(self.names)

    def file(self, i: int) -> Path:
        """Return where a picture is."""
        return self.root / self.names[i]


def write(folder: Path, tiles: Iterator[np.ndarray]) -> Files:
    """Write tiles, uint8 ``[H, W, 3]``, as JPEG."""
    names = []
    for number, tile in enumerate(tiles):
        names.append(f"{number}.jpg")
        Image.fromarray(tile).save(folder / names[-1], quality=90)
    return Files(folder, names, np.zeros(len(names), np.int64))


def made(number: int) -> Iterator[np.ndarray]:
    """Tiles of a painted block."""
    across = int(np.ceil(np.sqrt(number)))
    block = paint((across * PATCH_PX,) * 2, seed=0, kind=KINDS[0], mpp=MPP)
    for i in range(number):
        row, column = divmod(i, across)
        yield block[row * PATCH_PX :, column * PATCH_PX :][:PATCH_PX, :PATCH_PX]


def real(path: Path, number: int) -> Iterator[np.ndarray]:
    """Tiles of a slide, the least white ones first."""
    with Slide(path) as slide:
        w, h = slide.size_px0
        side = PATCH_PX
        tiles = [
            slide.read(x, y, (side, side), (side, side))
            for y in range(0, h - side + 1, side)
            for x in range(0, w - side + 1, side)
        ]
    yield from sorted(tiles, key=lambda tile: tile.mean())[:number]


def with_kornia(files: Files) -> None:
    """Do the published steps one picture at a time with kornia."""
    from kornia import augmentation as kornia  # not a dependency: see the docstring of the module

    a = SUPERVISED
    steps = torch.nn.Sequential(
        kornia.RandomResizedCrop((SIZE, SIZE), scale=a.crop_area, ratio=a.crop_ratio),
        kornia.ColorJitter(a.brightness, a.contrast, a.saturation, a.hue, p=a.jitter),
        kornia.RandomGaussianBlur((15, 15), a.blur_sigma, p=a.blur),
        kornia.RandomHorizontalFlip(p=a.flip_x),
        kornia.RandomVerticalFlip(p=a.flip_y),
        kornia.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )
    torch.manual_seed(0)  # every turn has the same work to do
    for i in range(len(files)):
        with Image.open(files.file(i)) as image:
            steps(to_tensor(image.convert("RGB"))[None])


def with_pillow(files: Files) -> None:
    """Do the published steps one picture at a time with torchvision on Pillow pictures."""
    a = SUPERVISED
    blur = transforms.Lambda(lambda image: image.filter(ImageFilter.GaussianBlur(np.random.uniform(*a.blur_sigma))))
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIZE, scale=a.crop_area, ratio=a.crop_ratio),
            transforms.RandomApply([transforms.ColorJitter(a.brightness, a.contrast, a.saturation, a.hue)], a.jitter),
            transforms.RandomApply([blur], a.blur),
            transforms.RandomHorizontalFlip(a.flip_x),
            transforms.RandomVerticalFlip(a.flip_y),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    torch.manual_seed(0)  # every turn has the same work to do
    for i in range(len(files)):
        with Image.open(files.file(i)) as image:
            steps(image.convert("RGB"))


def ours(files: Files) -> None:
    """Cut one by one, then change batches."""
    dataset, batch = (
        PatchDataset(files, size=SIZE, augment=SUPERVISED),
        BatchAugment(mean=MEAN, std=STD),
    )
    for start in range(0, len(files), BATCH):
        samples = [dataset[i] for i in range(start, min(start + BATCH, len(files)))]
        batch(torch.stack([s["pixels"] for s in samples]), torch.stack([s["draws"] for s in samples]))


def decode(files: Files, factor: int) -> None:
    """Read and decode, ``factor`` times smaller on each side."""
    for i in range(len(files)):
        with Image.open(files.file(i)) as image:
            if factor > 1:
                image.draft("RGB", (PATCH_PX // factor,) * 2)
            np.asarray(image)


def compare(title: str, files: Files, rounds: int) -> float:
    """Print the table of some pictures; return how many times as fast as kornia ours is."""
    ways: dict[str, Callable[[], None]] = {
        "kornia": partial(with_kornia, files),
        "Pillow": partial(with_pillow, files),
        "ours": partial(ours, files),
        "decode": partial(decode, files, 1),
        "half": partial(decode, files, 2),
    }
    times = dict(zip(ways, fastest(list(ways.values()), rounds), strict=True))
    kib = sum(files.file(i).stat().st_size for i in range(len(files))) / len(files) / 1024
    sys.stdout.write(f"{title}: {len(files)} pictures, {kib:.0f} KiB read for each, {rounds} rounds\n")
    sys.stdout.write(f"{'way':>8} {'ms/picture':>11} {'pictures/s':>11} {'/ kornia':>9} {'MiB/s read':>11}\n")
    for name, seconds in times.items():
        each = seconds / len(files)
        numbers = f"{each * 1e3:>11.2f} {1 / each:>11,.0f} {times['kornia'] / seconds:>9.2f} {kib / 1024 / each:>11.1f}"
        sys.stdout.write(f"{name:>8} {numbers}\n")
    sys.stdout.flush()
    return times["kornia"] / times["ours"]


def main() -> int:
    """Print a table for each kind of pictures; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=64, help="in one turn (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--slide", type=Path, default=REAL_SLIDE, help="a real slide, shown if it is there")
    options = parser.parse_args()
    if importlib.util.find_spec("kornia") is None:
        parser.error("kornia is not there: pip install --no-deps --target DIR kornia kornia_rs; PYTHONPATH=DIR")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made_in, tempfile.TemporaryDirectory() as real_in:
        ratio = compare("made", write(Path(made_in), made(options.pictures)), options.rounds)
        if options.slide.is_file():
            compare(options.slide.name, write(Path(real_in), real(options.slide, options.pictures)), options.rounds)
    line, kept = verdict("ours / kornia", ratio, BAR, at_most=False)
    sys.stdout.write(line)
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
