"""Selection: which patches of a slide's bag the token selector of a model keeps, and a picture of them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.prompting import conversation
from pathplugins.commands.vision_input import check_vision_input
from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.core.suffixes import slide_key
from pathplugins.data.bags import inspect_bag
from pathplugins.data.bags.coords import read_coords
from pathplugins.data.bags.layout import BagInfo, open_bag, read_layout
from pathplugins.data.records import IMAGE_PLACEHOLDER
from pathplugins.models.selectors import SELECTORS

if TYPE_CHECKING:
    import numpy as np

    from pathplugins.models.custom_llava.opened_image import KeptTokens
    from pathplugins.models.selectors.base import Selection

logger = logging.getLogger(__name__)


class Patches(NamedTuple):
    """The patches of a bag, on the slide."""

    coords_xy: np.ndarray
    """[N, 2] int64 top-left corners, level-0 pixels."""
    size_px0: int
    """Side, level-0 pixels."""
    level0_mpp: float | None
    """Microns per level-0 pixel, where the bag or the slide says."""
    qupath_xy: tuple[int, int] = (0, 0)
    """Where QuPath counts from, level-0 pixels, as the bag records it."""


class Chosen(NamedTuple):
    """What the selector did with a bag, of whose rows k were read."""

    rows: np.ndarray
    """[k] int64 rows of the bag, ascending."""
    kept: np.ndarray
    """[k] bool."""
    scores: np.ndarray | None
    """[k] float32; None where the selector does not rank."""


class DrawnSelection(NamedTuple):
    """What was drawn."""

    picture: Path
    """PNG."""
    geojson: Path
    """The patches for QuPath, each with its class and its score."""
    kept: int
    """Patches that the selector kept."""
    read: int
    """Patches that were read from the bag."""


def draw_selection(
    model: LoadedModel,
    bag: str | Path,
    out: str | Path,
    *,
    slide: str | Path | None = None,
    prompt: str | None = None,
    patches: int | None = None,
    trained: bool = True,
) -> DrawnSelection:
    """Draw which patches of a slide the token selector of a model keeps, and their scores.

    Args:
        model: of `load_model`; it must read bags.
        bag: H5 feature bag of the slide.
        out: the picture, a PNG; a GeoJSON for QuPath is written beside it.
        slide: draw on this slide; on a blank canvas without.
        prompt: the question; needed by a selector that looks at it, such as ``prompt_topk``.
        patches: rows to read from the bag, drawn as for a question; all of them when None.
        trained: False says in the picture that the selector's projection was never trained.

    Raises:
        PathPluginsError: the model reads images, the bag or slide cannot be used, ``out`` is no PNG, or the selector
            needs a prompt.
    """
    from pathplugins.data_tools.pictures import heat_map

    bag, out, slide = Path(bag), Path(out), None if slide is None else Path(slide)
    check_selection(model.processor, model.name, bag, out, prompt=prompt, patches=patches)
    place = locate(bag, slide)
    mode = selector_mode(model.processor)
    selector = SELECTORS.get(mode)
    chosen = choose(model, bag, prompt=prompt, patches=patches)
    title = [mode if trained else f"{mode} (its projection is not trained)"]
    total = len(place.coords_xy)
    title += [] if len(chosen.rows) == total else [f"{total} patches in the bag"]
    if prompt is not None:
        title += [f'prompt "{prompt}"' + ("" if selector.needs_prompt else " (not looked at)")]
    picture, geojson = heat_map.draw_selection(
        out,
        coords_xy=place.coords_xy[chosen.rows],
        patch_size_level0=place.size_px0,
        level0_mpp=place.level0_mpp,
        kept=chosen.kept,
        scores=chosen.scores,
        score_name=score_name(selector),
        title=", ".join(title),
        slide=slide,
        qupath_xy=place.qupath_xy,
    )
    return DrawnSelection(picture, geojson, int(chosen.kept.sum()), len(chosen.rows))


def check_selection(
    processor: Any, model: str, bag: Path, out: Path, *, prompt: str | None, patches: int | None
) -> None:
    """Refuse a selection that cannot be drawn, before any weights are read; the arguments are `draw_selection`'s."""
    if patches is not None and patches < 1:
        raise PathPluginsError(f"--patches is {patches}, expected 1 or more")
    if out.suffix.lower() != ".png":
        raise PathPluginsError(f"--out {out}: the picture is a PNG; give a name that ends in .png")
    require_bags(processor, model)
    check_vision_input(bag, "--bag", reads="bags", model=model)
    mode = selector_mode(processor)
    if SELECTORS.get(mode).needs_prompt and not prompt:
        raise PathPluginsError(f'{mode} looks at the question: give it with --prompt "..."')


def require_bags(processor: Any, model: str) -> None:
    """Refuse a model that reads images, which have no patches to select from."""
    if not hasattr(processor.image_processor, "patches_per_wsi"):
        raise PathPluginsError(f"{model} reads images; patches are selected from feature bags, give a model of those")


def selector_mode(processor: Any) -> str:
    """Return the name of the model's token selector."""
    return processor.image_processor.vision_feature_select_mode


def choose(model: LoadedModel, bag: Path, *, prompt: str | None = None, patches: int | None = None) -> Chosen:
    """Run the token selector of a model on one bag.

    Args:
        model: of `load_model`.
        bag: H5 feature bag.
        prompt: the question, as `pathplugins ask` puts it; needed only by selectors that look at it.
        patches: rows to read, drawn as for a question; all of them when None.
    """
    import torch

    processor: Any = model.processor
    reader = processor.image_processor
    usual, reader.patches_per_wsi = reader.patches_per_wsi, patches
    try:
        text = IMAGE_PLACEHOLDER if prompt is None else conversation(processor.tokenizer, prompt)
        inputs, rows = processor(text, [bag]), reader.rows_read(bag)
    finally:
        reader.patches_per_wsi = usual  # the model may be asked a question next
    with torch.inference_mode():
        selection = model.model.select_image_tokens(**inputs.to(model.model.device))
    return chosen_of(rows, selection)


def chosen_of(rows: np.ndarray, selection: Selection | KeptTokens) -> Chosen:
    """Return what a selector did with the rows [k] that were read of one bag."""
    import numpy as np

    kept = np.zeros(len(rows), bool)
    kept[selection.indices.cpu().numpy()] = True
    scores = None if selection.scores is None else selection.scores.float().cpu().numpy()
    return Chosen(rows, kept, scores)


def locate(bag: Path, slide: Path | None) -> Patches:
    """Return where the patches of a bag lie on the slide, checked against the slide if one is given.

    Raises:
        BagError: the bag records too little to draw its patches; the message says what to add.
        PathPluginsError: the slide is not the one the bag was made from.
    """
    info = inspect_bag(bag, positions=False)  # reads again where it fails, and says what is wrong
    if not info.positions:
        raise BagError(
            f"{bag} holds features without positions, so nothing can be drawn; add those of the patch files of its "
            "slide: pathdata convert features IN --coords DIR --out OUT"
        )
    with open_bag(bag) as file:
        stored_xy = read_coords(read_layout(file, str(bag)).coords, info)  # [N, 2]
        qupath_xy = int(file.attrs.get("bounds_x", 0)), int(file.attrs.get("bounds_y", 0))
    mpp = info.level0_mpp if slide is None else _checked_mpp(slide, info)
    if info.units == "um":
        if mpp is None:
            raise BagError(f"{bag} stores microns and not how large a level-0 pixel is; name the slide with --slide")
        stored_xy = (stored_xy / mpp).round().astype("int64")
    side = info.patch_size_level0
    if side is None and info.patch_size and info.mpp and mpp:
        side = info.patch_size * info.mpp / mpp
    if side is None:
        raise BagError(
            f"{bag} does not record how large its patches are, so they cannot be drawn; extract it with 'pathdata "
            "features', or write patch_size_level0 (pixels) and level0_mpp (microns per pixel) into its attributes"
        )
    return Patches(stored_xy, round(side), mpp, qupath_xy)


def _checked_mpp(path: Path, info: BagInfo) -> float | None:
    """Return microns per level-0 pixel, of the slide where the bag does not say; refuse a slide of another size."""
    from pathplugins.data_tools.slides.resolution import resolve
    from pathplugins.data_tools.slides.slide import Slide

    if info.slide_id is not None and slide_key(info.slide_id) != slide_key(path.name):
        logger.warning(
            "%s names the slide %r and is drawn on %s; unless that is the same slide under another name, give the one "
            "the bag was made from",
            *(info.path, info.slide_id, path),
        )
    with Slide(path) as slide:
        recorded = (info.level0_width, info.level0_height)
        if None not in recorded and recorded != slide.size_px0:
            raise PathPluginsError(
                f"{info.path} is of a slide of {recorded[0]} x {recorded[1]} pixels, {path} is {slide.size_px0[0]} x "
                f"{slide.size_px0[1]}; give the slide the bag was made from, or leave --slide out"
            )
        if info.level0_mpp is None and (info.units == "um" or info.patch_size_level0 is None):
            return resolve(slide).mpp
        return resolve(slide, fallback_mpp=info.level0_mpp).mpp if info.nominal else info.level0_mpp


def score_name(selector: Any) -> str:
    """Return what the scores of a selector are, in a few words."""
    if selector.needs_prompt:
        return "cosine to the prompt"
    return "attention of the slide token" if selector.needs_attention else "score"
