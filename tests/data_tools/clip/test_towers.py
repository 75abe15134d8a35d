"""CLIPs of Transformers: both towers or an error."""

from pathlib import Path

import pytest

open_clip = pytest.importorskip("open_clip")
import torch  # noqa: E402
import transformers  # noqa: E402

from pathplugins.core.errors import CheckpointError  # noqa: E402
from pathplugins.data_tools.clip.model import ClipChoice, load_clip  # noqa: E402


def test_a_text_tower_that_is_missing_is_an_error(transformers_clip: Path, tmp_path: Path) -> None:
    for file in transformers_clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").unlink()
    state = transformers.CLIPModel.from_pretrained(transformers_clip).state_dict()
    torch.save({key: value for key, value in state.items() if "text_model" not in key}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="weights of the model are not in it"):
        load_clip(ClipChoice(path=tmp_path, device="cpu"))


def test_the_hash_is_of_all_weight_files(transformers_clip: Path) -> None:
    from pathplugins.data_tools.clip.towers import TransformersTowers
    from pathplugins.encoders.load_weights import sha256

    towers = TransformersTowers(transformers_clip)
    (only,) = towers.weights
    assert towers.sha256 == sha256(only)
    towers.weights = [only, transformers_clip / "config.json"]
    assert towers.sha256 not in (sha256(only), sha256(transformers_clip / "config.json"))
