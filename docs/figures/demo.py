"""Draw the figure of the README from what ``make demo`` left behind.

Run: python docs/figures/demo.py demo --out docs/figures/demo.png
"""

from __future__ import annotations

import argparse
import io
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("agg")

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from PIL import Image

from pathplugins.commands.ask import ask
from pathplugins.commands.demo.wsi import QUESTION
from pathplugins.commands.loading import load_model
from pathplugins.commands.prompting import conversation
from pathplugins.data.bags import inspect_bag, read_bag
from pathplugins.data_tools.slides.slide import Slide

SIZE_IN, DPI, COLOURS = (8.6, 4.75), 200, 160
DATA, MODEL, INK, PALE = "#0b7285", "#6741d9", "#212529", "#868e96"
LEFT, TOP = (0.25, 2.36, 4.47, 6.58), (2.93, 0.68)  # inches: columns, and the lower edge of each row's panels
WIDTH, HEIGHT = 1.78, 1.34
MPP, PATCH = 0.5, 256  # of the drawn slides: level-0 pixels are those the tower counts in


class Seen(NamedTuple):
    """What the stages of the demo gave for one slide of N patches, of which K are kept."""

    picture: np.ndarray
    """uint8 [H, W, 3], the slide."""
    overlay: np.ndarray
    """uint8 [H, W, 3], the picture that ``pathdata patch`` drew: tissue, and what was cut."""
    patches: np.ndarray
    """uint8 [12, 96, 96, 3], some patches."""
    corners: np.ndarray
    """[N, 2], (x, y) of the patches in shares of the slide."""
    side: tuple[float, float]
    """Width and height of a patch, likewise."""
    features: np.ndarray
    """[N, D], the bag."""
    tokens: np.ndarray
    """[1 + N, C], slide token and patch tokens of the slide encoder."""
    kept: np.ndarray
    """[K], rows that the token selector keeps."""
    embeds: np.ndarray
    """[1 + K, H], what the connector gives to the language model."""
    selector: str
    size_px0: tuple[int, int]
    mpp: float
    question: str
    answer: str


def look(demo: Path, slide_id: str) -> Seen:
    """Run the stages once more on a slide of the demo, one by one, and ask the trained model about it."""
    bag, directory = demo / "work" / "bags" / f"{slide_id}.h5", demo / "merged"
    if (found := inspect_bag(bag).level0_mpp) != MPP:
        raise ValueError(f"{bag} is of a slide with {found} um/px, the figure is made for drawn ones with {MPP}")
    features = read_bag(bag).features.astype(np.float32)
    loaded = load_model(directory, device="cpu")
    model, processor = loaded
    inputs = processor(conversation(processor.tokenizer, QUESTION), [bag])
    with torch.inference_mode():
        vision = (inputs["patch_features"], inputs["patch_coords"], inputs["patch_counts"])
        slide_token, tokens = model.vision_tower(*vision)
        kept = model.select_image_tokens(**inputs).indices
        embeds, _ = model.get_image_features(**{name: inputs[name] for name in inputs if name.startswith("patch_")})
    patches, corners, side, picture, size = pictures(demo, slide_id)
    return Seen(
        picture=picture,
        overlay=overlay(demo / "work" / "overlays" / f"{slide_id}.png", size),
        patches=patches,
        corners=corners,
        side=side,
        features=features,
        tokens=torch.cat([slide_token, tokens]).numpy(),
        kept=kept.numpy(),
        embeds=embeds.numpy(),
        selector=model.config.vision_feature_select_mode,
        size_px0=size,
        mpp=MPP,
        question=QUESTION,
        answer=ask(loaded, QUESTION, bag=bag),
    )


def pictures(demo: Path, slide_id: str) -> tuple[np.ndarray, np.ndarray, tuple[float, float], np.ndarray, Any]:
    """Return some patches, the corners and the size of all, the slide as a picture and its size."""
    with Slide(demo / "slides" / f"{slide_id}.svs") as slide:
        w, h = slide.size_px0
        picture = slide.thumbnail((512, round(512 * h / w)))
        corners = read_bag(demo / "work" / "bags" / f"{slide_id}.h5").coords_xy
        chosen = corners[np.linspace(0, len(corners) - 1, 12).round().astype(int)]
        patches = np.stack([slide.read(x, y, (PATCH, PATCH), (96, 96)) for x, y in chosen])
    return patches, corners / (w, h), (PATCH / w, PATCH / h), picture, (w, h)


def overlay(path: Path, size_px0: tuple[int, int]) -> np.ndarray:
    """Return the picture of ``pathdata patch`` without the lines below it, uint8 [H, W, 3]."""
    with Image.open(path) as image:
        scale = image.width / size_px0[0]
        image = image.convert("RGB").crop((0, 0, image.width, round(size_px0[1] * scale)))
        return np.asarray(image.resize((512, round(512 * size_px0[1] / size_px0[0])), Image.Resampling.LANCZOS))


class Canvas:
    """A white figure that is measured in inches from its lower left corner."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=SIZE_IN, dpi=DPI, facecolor="white")
        self.all = self.axes(0, 0, *SIZE_IN)
        self.all.set(xlim=(0, SIZE_IN[0]), ylim=(0, SIZE_IN[1]))
        self.all.axis("off")

    def axes(self, x: float, y: float, w: float, h: float) -> Axes:
        """Add an empty panel."""
        axes = self.figure.add_axes((x / SIZE_IN[0], y / SIZE_IN[1], w / SIZE_IN[0], h / SIZE_IN[1]))
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    def text(self, x: float, y: float, text: str, *, size: float = 8, colour: str = INK, **rest: Any) -> None:
        """Write a line."""
        self.all.text(x, y, text, fontsize=size, color=colour, **rest)

    def label(self, x: float, y: float, title: str, detail: str, colour: str) -> None:
        """Write two lines below a panel."""
        self.text(x + WIDTH / 2, y - 0.2, title, size=9, colour=colour, weight="bold", ha="center")
        self.text(x + WIDTH / 2, y - 0.38, detail, size=7.5, colour=INK, ha="center")

    def band(self, y: float, text: str, colour: str) -> None:
        """Write the command that runs a row above it."""
        box = FancyBboxPatch(
            (LEFT[0], y),
            LEFT[-1] + WIDTH - LEFT[0],
            0.24,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc=colour,
            ec="none",
        )
        self.all.add_patch(box)
        self.text(
            LEFT[0] + 0.1, y + 0.12, text, size=8.5, colour="white", family="monospace", weight="bold", va="center"
        )

    def arrow(self, start: tuple[float, float], end: tuple[float, float], bend: str = "arc3") -> None:
        """Draw an arrow from panel to panel."""
        style = {"arrowstyle": "-|>", "mutation_scale": 9, "lw": 1.3, "color": PALE, "shrinkA": 0, "shrinkB": 0}
        self.all.add_patch(FancyArrowPatch(start, end, connectionstyle=bend, **style))


def heat(canvas: Canvas, x: float, y: float, values: np.ndarray, colours: str, *, columns: int) -> None:
    """Draw a matrix, a row for each patch or token; each column is scaled by itself."""
    shown = values[:, np.linspace(0, values.shape[1] - 1, columns).round().astype(int)]
    spread = np.abs(shown - shown.mean(0)).max(0)
    axes = canvas.axes(x, y, WIDTH, HEIGHT)
    axes.imshow((shown - shown.mean(0)) / np.where(spread, spread, 1), cmap=colours, aspect="auto", vmin=-1, vmax=1)
    for side in axes.spines.values():
        side.set_color("#ced4da")


def picture(canvas: Canvas, x: float, y: float, image: np.ndarray) -> Axes:
    """Draw a picture of the slide."""
    axes = canvas.axes(x, y, WIDTH, HEIGHT)
    axes.imshow(image, extent=(0, 1, 1, 0), aspect="auto", interpolation="lanczos")
    for side in axes.spines.values():
        side.set_color("#ced4da")
    return axes


def draw(seen: Seen) -> Figure:
    """Draw all stages: slide to bag above, bag to answer below."""
    canvas = Canvas()
    (upper, lower), n, k = TOP, len(seen.features), len(seen.kept)
    canvas.band(upper + HEIGHT + 0.1, "pathdata run", DATA)
    picture(canvas, LEFT[0], upper, seen.picture)
    w, h = seen.size_px0
    canvas.label(LEFT[0], upper, "slide", f"{w} x {h} px, {seen.mpp} um/px", DATA)
    axes = picture(canvas, LEFT[1], upper, seen.overlay)
    for corner in seen.corners:
        axes.add_patch(Rectangle(corner, *seen.side, fc="none", ec="#1c4fd6", lw=0.8))  # too thin when made this small
    canvas.label(LEFT[1], upper, "tissue and patches", f"{n} patches of {PATCH} px", DATA)
    rows = np.concatenate([np.concatenate(list(seen.patches[row : row + 4]), 1) for row in (0, 4, 8)], 0)
    axes = picture(canvas, LEFT[2], upper, rows)
    for column in (1, 2, 3):
        axes.axvline(column / 4, color="white", lw=2.5)
    for row in (1, 2):
        axes.axhline(row / 3, color="white", lw=2.5)
    canvas.label(LEFT[2], upper, "patch encoder", f"{seen.features.shape[1]} numbers a patch", DATA)
    heat(canvas, LEFT[3], upper, seen.features, "BrBG", columns=72)
    canvas.label(LEFT[3], upper, "bag (H5)", f"features {n} x {seen.features.shape[1]}, coordinates", DATA)

    canvas.band(lower + HEIGHT + 0.1, "llamafactory-cli train   or   xtuner train,   then   pathplugins ask", MODEL)
    heat(canvas, LEFT[0], lower, seen.tokens, "PuOr", columns=64)
    canvas.label(LEFT[0], lower, "vision tower", f"1 slide token + {n} patch tokens", MODEL)
    axes = picture(canvas, LEFT[1], lower, seen.picture // 3 + 168)
    side_w, side_h = seen.side
    for row, (x, y) in enumerate(seen.corners):
        if row in seen.kept:
            axes.imshow(crop(seen, x, y), extent=(x, x + side_w, y + side_h, y), aspect="auto", interpolation="lanczos")
        frame = {"ec": MODEL, "lw": 1.1} if row in seen.kept else {"ec": "#adb5bd", "lw": 0.5}
        axes.add_patch(Rectangle((x, y), side_w, side_h, fc="none", zorder=3 if row in seen.kept else 2, **frame))
    axes.set(xlim=(0, 1), ylim=(1, 0))
    canvas.label(LEFT[1], lower, "token selector", f"{seen.selector}: {k} of {n}", MODEL)
    heat(canvas, LEFT[2], lower, seen.embeds, "PuOr", columns=64)
    canvas.label(LEFT[2], lower, "connector", f"{1 + k} tokens of width {seen.embeds.shape[1]}", MODEL)
    talk(canvas, LEFT[3], lower, seen)
    canvas.label(LEFT[3], lower, "language model", "and its answer", MODEL)
    for y in (upper, lower):
        for one, other in itertools.pairwise(LEFT):
            canvas.arrow((one + WIDTH + 0.04, y + HEIGHT / 2), (other - 0.04, y + HEIGHT / 2))
    note = "Real output of make demo on CPU: the tissue is drawn, all models are tiny and start untrained."
    canvas.text(SIZE_IN[0] / 2, 0.07, note, size=7.5, colour=PALE, ha="center")
    return canvas.figure


def crop(seen: Seen, x: float, y: float) -> np.ndarray:
    """Cut a patch out of the small picture of the slide, uint8 [h, w, 3]."""
    h, w = seen.picture.shape[:2]
    x, y = round(x * w), round(y * h)
    return seen.picture[y : y + round(seen.side[1] * h), x : x + round(seen.side[0] * w)]


def talk(canvas: Canvas, x: float, y: float, seen: Seen) -> None:
    """Draw question and answer as two bubbles."""
    for text, bottom, colour, ink, indent in (
        (wrapped(seen.question), 0.74, "#e9ecef", INK, 0.0),
        (wrapped(seen.answer), 0.06, MODEL, "white", 0.14),
    ):
        box = FancyBboxPatch(
            (x + indent, y + bottom), WIDTH - 0.14, 0.54, boxstyle="round,pad=0,rounding_size=0.1", fc=colour, ec="none"
        )
        canvas.all.add_patch(box)
        canvas.text(x + indent + 0.12, y + bottom + 0.27, text, size=8.5, colour=ink, va="center", linespacing=1.25)


def wrapped(text: str, width: int = 18) -> str:
    """Break a text into lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def main() -> None:
    """Read the options, draw, write a PNG of few colours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="the folder that `make demo` wrote")
    parser.add_argument("--slide-id", default="val_1", help="which of its slides")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("demo.png"))
    args = parser.parse_args()
    buffer = io.BytesIO()
    draw(look(args.demo, args.slide_id)).savefig(buffer, dpi=DPI, facecolor="white")
    image = Image.open(buffer).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    image.save(args.out, optimize=True)


if __name__ == "__main__":
    main()
