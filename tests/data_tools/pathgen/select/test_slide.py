"""The analysis of one slide: ranks, scores and picks belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from pathplugins.data_tools.encoders.encode_slide import FeatureOptions
from pathplugins.data_tools.pathgen.select.grid import GridSpec, find_grid
from pathplugins.data_tools.pathgen.select.ranking import ChoiceSpec
from pathplugins.data_tools.pathgen.select.slide import analyse, seed_of
from pathplugins.data_tools.slides.slide import Slide


def test_seeds_depend_on_the_slide_and_not_on_the_order() -> None:
    assert seed_of(0, "a") == seed_of(0, "a")
    assert len({seed_of(seed, name) for seed in range(3) for name in ("a", "b")}) == 6
    assert 0 <= seed_of(7, "x") < 2**32


def test_ranks_scores_and_picks_belong_together(transformers_clip: Path, slides_folder: Path) -> None:
    from pathplugins.data_tools.clip.model import ClipChoice, load_clip

    clip = load_clip(ClipChoice(path=transformers_clip, device="cpu"))
    told: list[tuple[int, int]] = []
    with Slide(slides_folder / "a.svs") as slide:
        grid = find_grid(slide, GridSpec(patch_size=96))
        found = analyse(
            *(slide, grid, clip, ["a gland", "fat"], ["stroma"], ChoiceSpec(target=9, clusters=3)),
            FeatureOptions(batch_size=7, readers=1),
            lambda done, total: told.append((done, total)),
        )
    n = len(grid.coords_xy)
    assert found.features.shape == (n, 24)
    assert found.features.dtype == np.float16
    assert told[-1] == (n, n)
    for name, scores in (("direct", found.direct), ("report", found.report)):
        ranks = found.rank(name)  # type: ignore[arg-type]
        assert sorted(ranks.tolist()) == [*range(n)]
        assert scores is not None
        assert ranks[scores.argmax()] == 0
    assert len({pick.index for pick in found.picks}) == len(found.picks) <= 9
    assert {*found.labels.tolist()} <= {0, 1, 2}
    assert found.sentences == 1
