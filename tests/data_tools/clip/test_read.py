"""Paths that are a CLIP, and what is said of those that are not."""

import pickle
from pathlib import Path

import numpy as np
import pytest

open_clip = pytest.importorskip("open_clip")
import torch  # noqa: E402

from pathplugins.core.errors import CheckpointError, PathPluginsError  # noqa: E402
from pathplugins.data_tools.clip.architectures import model_config  # noqa: E402
from pathplugins.data_tools.clip.model import ClipChoice, load_clip  # noqa: E402


def test_a_published_name_suggests_its_row_and_the_said_activation_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "pathgenclip.pt"
    torch.save(open_clip.CLIP(**model_config("ViT-S-32-alt")).state_dict(), path)
    with pytest.raises(PathPluginsError, match=r"its name is that of pathgen-clip: pass --clip-arch pathgen-clip"):
        load_clip(ClipChoice(path=path, device="cpu"))
    with pytest.raises(PathPluginsError, match="the weights do not tell the activation"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", device="cpu"))
    plain, quick = (
        load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", activation=said, device="cpu"))
        for said in ("gelu", "quick_gelu")
    )
    assert (plain.describe()["activation"], quick.describe()["activation"]) == ("gelu", "quick_gelu")
    assert np.abs(plain.texts(["a"]) - quick.texts(["a"])).max() > 1e-4


def test_what_is_no_clip_is_refused(transformers_clip: Path, tmp_path: Path) -> None:
    def message(path: Path, **options: object) -> str:
        with pytest.raises(PathPluginsError) as caught:
            load_clip(ClipChoice(path=path, device="cpu", **options))
        return str(caught.value)

    assert "hf download" in message(tmp_path / "absent")
    assert "no config.json" in message(tmp_path)
    assert "--clip-arch ViT-B-16" in message(transformers_clip, arch="ViT-B-16")
    assert "whose own files record it: leave --activation out" in message(transformers_clip, activation="gelu")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert "model_type 'vit'" in message(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"')
    assert "not readable as JSON" in message(tmp_path)
    (tmp_path / "open_clip_config.json").write_text(
        '{"model_cfg": {"embed_dim": 4, "text_cfg": {"hf_model_name": "x"}}}'
    )
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"")
    assert "not fetched" in message(tmp_path)


def test_no_code_of_a_checkpoint_runs(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"visual.proj": Trap()}))
    with pytest.raises(CheckpointError, match=r"a pickle that torch\.save did not write"):
        load_clip(ClipChoice(path=path, arch="ViT-B-16", device="cpu"))
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_no_clip_says_so(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(3, 5)}, tmp_path / "x.pt")
    with pytest.raises(PathPluginsError, match="its shapes match no model of open_clip: pass the file of a CLIP"):
        load_clip(ClipChoice(path=tmp_path / "x.pt", device="cpu"))
