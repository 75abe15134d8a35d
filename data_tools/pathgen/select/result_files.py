"""Result files of one slide: features, metrics, pictures of the rankings, and manifest rows."""

from __future__ import annotations

import colorsys
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pathplugins import __version__
from pathplugins.core.content import content_print
from pathplugins.core.counted import counted
from pathplugins.core.files import replacing, write_json
from pathplugins.core.suffixes import slide_name
from pathplugins.data.new_h5 import new_h5

from ...pictures.drawing import INK, LONGEST_SIDE_PX, boxes_px, fade_outside, scaled_size, with_caption
from ...pictures.heat_map import draw_selection
from ...slides.slide import Slide
from .grid import Grid
from .projects import PROJECTS
from .slide import Analysis

TURN = 0.618034  #: turn of the colour wheel from one cluster to the next, so that neighbouring numbers differ clearly
COVER = 0.45  #: opacity of a cluster's colour over the slide
CAPTION_PX = 40


def write_features(path: Path, slide: Slide, analysis: Analysis, encoder: dict[str, Any]) -> None:
    """Write one H5 file in place of the published ``img_features.npy`` and ``patch_cor_list.npy``.

    ``features`` float16 ``[N, D]``; ``coords`` int64 ``[N, 2]`` (x, y), level-0 pixels, with TRIDENT's attributes;
    ``direct_scores``, ``clusters``, and ``report_scores`` if there is a report, ``[N]`` each.
    """
    grid, (width, height) = analysis.grid, slide.size_px0
    with new_h5(path) as (file, _):
        file.create_dataset("features", data=analysis.features)
        coords = file.create_dataset("coords", data=grid.coords_xy)
        file.create_dataset("direct_scores", data=analysis.direct.astype(np.float32))
        file.create_dataset("clusters", data=analysis.labels.astype(np.int32))
        if analysis.report is not None:
            file.create_dataset("report_scores", data=analysis.report.astype(np.float32))
        attributes = {
            "name": slide.slide_id,
            "patch_size": grid.patch_size,
            "patch_size_level0": grid.patch_size_level0,
            "level0_width": width,
            "level0_height": height,
            "mpp": grid.mpp,
            "level0_mpp": grid.level0_mpp,
            "mpp_source": grid.mpp_source,
        }
        coords.attrs.update({key: value for key, value in attributes.items() if value is not None})
        file["features"].attrs.update({"name": slide.slide_id, "encoder": encoder["encoder"]})
        file.attrs.update({"slide_id": slide.slide_id, "tool_version": f"pathplugins {__version__}", **encoder})


def write_rankings(folder: Path, slide: Path, analysis: Analysis, *, top: int) -> None:
    """Write ``direct.png`` and ``report.png``, with the ``top`` best patches outlined, and ``clusters.png``."""
    grid = analysis.grid
    for name, scores, what in (
        ("direct", analysis.direct, "largest similarity to a prompt"),
        ("report", analysis.report, "summed similarity to the report"),
    ):
        if scores is None:
            continue
        draw_selection(
            folder / f"{name}.png",
            coords_xy=grid.coords_xy,
            patch_size_level0=grid.patch_size_level0,
            level0_mpp=grid.level0_mpp,
            kept=analysis.rank(name) < top,
            scores=scores,
            score_name=what,
            title=f"{name} ranking, {slide_name(slide)}",
            slide=slide,
        )
    draw_clusters(folder / "clusters.png", slide, analysis)


def draw_clusters(path: Path, slide: Path, analysis: Analysis) -> None:
    """Draw the slide with every patch in the colour of its cluster and the chosen ones outlined, as PNG."""
    grid = analysis.grid
    with Slide(slide) as open_slide:
        size_px0 = open_slide.size_px0
        scale = min(1.0, LONGEST_SIDE_PX / max(size_px0))  # pixels of the picture per level-0 pixel
        picture = Image.fromarray(open_slide.thumbnail(scaled_size(size_px0, scale)))
    boxes = boxes_px(grid.coords_xy, grid.patch_size_level0, scale)  # [N, 4]
    picture = fade_outside(picture, boxes)
    paint, cover = picture.copy(), Image.new("L", picture.size, 0)
    on_paint, on_cover = ImageDraw.Draw(paint), ImageDraw.Draw(cover)
    for box, label in zip(boxes.tolist(), analysis.labels.tolist(), strict=True):
        red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(label * TURN % 1, 0.85, 0.9))
        on_paint.rectangle(box, fill=(red, green, blue))
        on_cover.rectangle(box, fill=round(255 * COVER))
    picture = Image.composite(paint, picture, cover)
    draw = ImageDraw.Draw(picture)
    for pick in analysis.picks:
        draw.rectangle(boxes[pick.index].tolist(), outline=INK, width=3)
    clusters = counted(int(analysis.labels.max()) + 1, "cluster")
    text = f"{counted(len(boxes), 'patch')} in {clusters}, {len(analysis.picks)} chosen (outlined)"
    px_per_um = None if grid.level0_mpp is None else scale / grid.level0_mpp
    canvas = with_caption(picture, text, px_per_um=px_per_um, strip_px=CAPTION_PX)
    with replacing(path) as temporary:
        canvas.save(temporary, format="PNG")


def manifest_rows(slide_id: str, project: str, analysis: Analysis) -> list[dict[str, Any]]:
    """Return one manifest row per chosen patch, in the order of choosing; image paths are relative to the manifest."""
    grid, rows = analysis.grid, []
    for index, reason in analysis.picks:
        x, y = grid.coords_xy[index].tolist()
        row = {
            "image": f"images/{slide_id}/{x}_{y}.jpg",
            "wsi_id": slide_id,
            "x": x,
            "y": y,
            **sizes(grid),
            "project": project,
            **({"organ": PROJECTS[project]} if project in PROJECTS else {}),
            "chosen_by": reason,
            "direct_rank": int(analysis.rank("direct")[index]) + 1,
            "direct_score": round(float(analysis.direct[index]), 4),
            "prompt": analysis.prompts[analysis.best_prompt[index]],
            "cluster": int(analysis.labels[index]),
        }
        if analysis.report is not None:
            row["report_rank"] = int(analysis.rank("report")[index]) + 1
            row["report_score"] = round(float(analysis.report[index]), 4)
        rows.append(row)
    return rows


def sizes(grid: Grid) -> dict[str, Any]:
    """Return the manifest columns that describe the size and resolution of a patch."""
    return {
        "size": grid.patch_size,
        "size_level0": grid.patch_size_level0,
        "mpp": grid.mpp,
        "mpp_source": grid.mpp_source,
    }


def write_metrics(path: Path, slide: Path, project: str, analysis: Analysis, settings: str) -> None:
    """Write counts, cluster quality, the settings and which slide it is as JSON."""
    reasons = [pick.reason for pick in analysis.picks]
    write_json(
        path,
        {
            "slide": slide_name(slide),
            "slide_file": {"path": str(slide), "content": content_print(slide)},
            "project": project,
            "patches": len(analysis.features),
            "chosen": len(reasons),
            "chosen_by": {reason: reasons.count(reason) for reason in ("direct", "report", "spread")},
            "near_duplicates_left_out": analysis.near_duplicates,
            "clusters": int(analysis.labels.max()) + 1,
            "prompts": len(analysis.prompts),
            "report_sentences": analysis.sentences,
            **analysis.quality,
            "areas": None if analysis.grid.areas is None else json.loads(analysis.grid.areas.to_json()),
            "settings": json.loads(settings),
        },
    )
