from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagContract
from pathplugins.models.towers import TOWERS, reads_images, tower_expects
from pathplugins.models.towers.contract import Tower
from pathplugins.published.slide_encoders import GIGAPATH

SMALL = {"in_chans": 7, "embed_dim": 24, "depth": 1, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}

ASKED = {"features": {"feature_dim": 7}, "patch_mlp": {"feature_dim": 7}}
"""Options without which a tower is not built."""


@pytest.mark.parametrize("name", [*TOWERS])
def test_every_tower_says_what_it_reads_and_is_built_so(name: str) -> None:
    kind = TOWERS.get(name)
    with torch.device("meta"):
        part = kind.build(ASKED.get(name, {}))
    assert part.reads == kind.reads
    assert reads_images(name) == (kind.reads == "images")
    assert part.hidden_size > 0


def test_gigapath_expects_its_patch_encoder_in_its_frame_and_grid() -> None:
    expected = BagContract(feature_dim=1536, frame_mpp=0.5, tile_px=256, grid=1000, expects_encoder="gigapath")
    assert tower_expects({"model_type": "gigapath"}) == expected
    assert GIGAPATH.patch_encoder == "gigapath"


def test_other_options_are_other_expectations() -> None:
    got = tower_expects({"model_type": "longnet_vit", **SMALL, "tile_size": 224, "grid_size": 31})
    assert got == BagContract(feature_dim=7, tile_px=224, grid=31, expects_encoder=None)


def test_what_a_tower_expects_is_known_without_torch() -> None:
    code = (
        "import sys; from pathplugins.models.towers import reads_images, tower_expects;"
        "print(tower_expects({'model_type': 'gigapath'}).feature_dim, reads_images('clip'), 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["1536", "True", "False"], run.stderr


def test_questions_a_tower_has_no_answer_to() -> None:
    with pytest.raises(PathPluginsError, match="a tower that reads images says nothing of bags"):
        tower_expects({"model_type": "clip"})
    with pytest.raises(PathPluginsError, match=r"vision_tower: w\.pth cannot be read.*set random_vision_seed"):
        Tower(reads="bags", build_with="json:loads").read_weights("w.pth", {})
