"""A token selector that looks at the question, in XTuner: it is trained, saved, exported, and answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pathplugins.cli import main
from pathplugins.data.formats.drawn import QUESTION
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.export import export_checkpoint

pytestmark = pytest.mark.host

CONFIG = "asking_align.py"
SMALL = """
from mmengine.config import read_base

with read_base():
    from .pallava_smoke_align import *

# No connector across the tiles: the question chooses among the patches of the thumbnail and of every tile.
parts.update(mm_projector_type="mlp2x_gelu", vision_feature_select_mode="prompt_topk", image_seq_length=8)
parts["projector_config"] = {}  # in place of the other connector's; update would merge
for part in (model.llm, train_dataloader.dataset, train_dataloader.collate_fn):
    part["model"] = parts
"""


@pytest.fixture(scope="module")
def asking(start: Callable[..., Any], folder: Path, asks: dict[str, Any]) -> Any:
    (folder / CONFIG).write_text(SMALL)
    return start(CONFIG, "--seed", 5, work="work_dirs/asking", options=asks).end()


def test_the_projection_is_trained_and_saved(asking: Any, folder: Path) -> None:
    from mmengine.config import Config

    from pathplugins.xtuner.parts import model_directory

    state = read_checkpoint(asking.checkpoint(12))
    trained = {name.partition("token_selector.")[2]: v for name, v in state.items() if "token_selector." in name}
    assert trained.keys() == {"text_query_projection.weight", "text_query_projection.bias"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        composed = model_directory(Config.fromfile(CONFIG).train_dataloader.dataset.model)
    first = load_file(Path(composed) / "token_selector.safetensors")
    far = {name: (value - first[f"token_selector.{name}"]).abs().max().item() for name, value in trained.items()}
    assert min(far.values()) > 1e-3, far
    losses = asking.losses()
    assert losses[12] < 0.3 * losses[1], losses


def test_what_is_exported_answers(
    asking: Any, folder: Path, tmp_path: Path, asks: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        export_checkpoint(asking.checkpoint(12), folder / CONFIG, tmp_path / "hf")
    state = read_checkpoint(asking.checkpoint(12))
    whole = load_file(tmp_path / "hf" / "model.safetensors")
    saved = {name: value for name, value in whole.items() if name.startswith("token_selector.")}
    assert len(saved) == 2
    for name, value in saved.items():
        (trained,) = [weight for key, weight in state.items() if key.endswith(name)]
        assert torch.equal(value, trained.to(value.dtype)), name
    image = str(asks["custom_hooks.0.evaluation_images"])
    words = ["ask", str(tmp_path / "hf"), "--image", image, "--question", QUESTION, "--max-new-tokens", "16"]
    assert main(words) == 0
    said = capsys.readouterr().out.strip().splitlines()[-1]
    assert said == asking.answers(12).rpartition("<|end_header_id|>")[2].strip()
    assert said.startswith("The image shows ")
