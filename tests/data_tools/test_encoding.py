from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.encoders import Preprocess
from pathplugins.data_tools.encoding import EncoderChoice, PatchEncoder, load_encoder

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

PATCHES = np.random.default_rng(0).integers(0, 255, (3, 100, 100, 3), np.uint8)


def features(encoder: PatchEncoder) -> np.ndarray:
    return encoder(np.stack([encoder.prepare(patch) for patch in PATCHES]))


@pytest.mark.parametrize(("side", "resize", "crop"), [(256, 256, 224), (180, 256, 224), (300, 97, 64)])
def test_preparation_is_torchvisions(side: int, resize: int, crop: int) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    patch = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    preprocess = Preprocess(resize_px=resize, crop_px=crop)
    encoder = PatchEncoder(
        torch.nn.Identity(), label="none", preprocess=preprocess, device="cpu", provenance={"weights": "none"}
    )
    published = transforms.Compose(
        [
            transforms.Resize(resize, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
            transforms.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        ]
    )
    ours = torch.from_numpy(encoder(np.stack([encoder.prepare(patch)])))[0]
    torch.testing.assert_close(ours, published(Image.fromarray(patch)))


def test_random_weights_are_asked_for_recorded_and_repeatable() -> None:
    first, again, other = (
        load_encoder(EncoderChoice(name="test_vit", random_seed=seed, device="cpu")) for seed in (0, 0, 5)
    )
    assert first.label == "test_vit (random weights, seed 0)"
    assert other.label == "test_vit (random weights, seed 5)"
    assert np.array_equal(features(first), features(again))
    assert not np.allclose(features(first), features(other))
    assert features(first).shape == (3, 64)
    assert features(first).dtype == np.float32


def test_random_weights_leave_the_callers_generator_alone() -> None:
    torch.manual_seed(11)
    wanted = torch.rand(3)
    torch.manual_seed(11)
    load_encoder(EncoderChoice(name="test_vit", random_seed=0, device="cpu"))
    assert torch.equal(torch.rand(3), wanted)


def test_local_weights(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    source = timm.create_model("test_vit", num_classes=7)
    safetensors.save_file(source.state_dict(), tmp_path / "w.safetensors")
    encoder = load_encoder(EncoderChoice(name="test_vit", weights=tmp_path / "w.safetensors", device="cpu"))
    assert encoder.label == "test_vit"
    assert encoder.provenance["weights"] == "w.safetensors"
    assert len(encoder.provenance["weights_sha256"]) == 64
    source.reset_classifier(0)
    config = timm.data.resolve_model_data_config(source)
    transform = timm.data.create_transform(**config, is_training=False)
    with torch.inference_mode():
        wanted = source.eval()(torch.stack([transform(Image.fromarray(patch)) for patch in PATCHES]))
    np.testing.assert_allclose(features(encoder), wanted.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "gigapath"])
def test_without_weights_the_error_says_what_fetches_them(name: str) -> None:
    with pytest.raises(PathPluginsError, match=r"none are fetched.*--download.*--weights FILE.*--random-weights SEED"):
        load_encoder(EncoderChoice(name=name))


def test_one_origin_only(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="exclude each other"):
        load_encoder(EncoderChoice(name="test_vit", weights=tmp_path / "w.pth", random_seed=0))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_absent_device_is_an_error() -> None:
    with pytest.raises(PathPluginsError, match="--device cpu"):
        load_encoder(EncoderChoice(name="test_vit", random_seed=0, device="cuda:1"))
