"""Models of every row, built small with random weights; TorchScript files."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_encoders import PATCHES, SIDE, run, tiny

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.encoder import EncoderChoice, load_encoder
from pathplugins.encoders.pooling import feature_width, pooled
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoders import CARDS

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_family_has_random_weights(card: EncoderCard) -> None:
    small = tiny(card)
    before = torch.get_rng_state()
    model, again, other = (build_model(small, seed) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    pixels = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    first, same, another = (pooled(small.pool, model, run(model, pixels)) for model in (model, again, other))
    assert first.shape == (2, feature_width(small.pool, model))
    assert torch.equal(first, same)
    assert not torch.allclose(first, another)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_torchscript_folder(tmp_path: Path) -> None:
    model = timm.create_model("test_vit", num_classes=0).eval()
    torch.jit.trace(model, torch.rand(1, 3, 160, 160)).save(str(tmp_path / "model.pt"))
    config = {"architecture": "torchscript", "input_size": [3, 160, 160], "mean": [0.5] * 3, "std": [0.25] * 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    encoder = load_encoder(EncoderChoice(name=str(tmp_path), device="cpu"))
    assert len(encoder.provenance["weights_sha256"]) == 64
    batch = np.stack([encoder.prepare(patch) for patch in PATCHES])
    pixels = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    np.testing.assert_allclose(encoder(batch), run(model, pixels).numpy(), atol=1e-5)
    with pytest.raises(PathPluginsError, match="comes with its weights"):
        load_encoder(EncoderChoice(name=str(tmp_path), random_seed=0, device="cpu"))
    (tmp_path / "model.pt").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"no TorchScript model.*torch\.jit\.trace"):
        load_encoder(EncoderChoice(name=str(tmp_path), device="cpu"))
