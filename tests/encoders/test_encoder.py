from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.encoder import EncoderChoice, PatchEncoder, load_encoder
from pathplugins.published.preprocessing import Preprocess

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

PATCHES = np.random.default_rng(0).integers(0, 255, (3, 100, 100, 3), np.uint8)


def features(encoder: PatchEncoder) -> np.ndarray:
    return encoder(np.stack([encoder.prepare(patch) for patch in PATCHES]))


def other_process(choice: EncoderChoice, threads: int) -> np.ndarray:
    torch.set_num_threads(threads)
    return features(load_encoder(choice))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("side", "resize", "crop"), [(256, 256, 224), (180, 256, 224), (300, 97, 64)])
def test_preparation_is_torchvisions(side: int, resize: int, crop: int, interpolation: str) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    patch = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    preprocess = Preprocess(resize_px=resize, crop_px=crop, interpolation=interpolation)
    encoder = PatchEncoder(
        torch.nn.Flatten(), label="none", preprocess=preprocess, device="cpu", provenance={"weights": "none"}
    )
    published = transforms.Compose(
        [
            transforms.Resize(resize, interpolation=transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
            transforms.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        ]
    )
    ours = torch.from_numpy(encoder(np.stack([encoder.prepare(patch)])))[0]
    torch.testing.assert_close(ours, published(Image.fromarray(patch)).flatten())


def test_one_vector_a_patch_or_none() -> None:
    encoder = PatchEncoder(
        torch.nn.Identity(),
        label="tokens",
        preprocess=Preprocess(resize_px=8, crop_px=8),
        device="cpu",
        provenance={"weights": "none"},
    )
    with pytest.raises(PathPluginsError, match=r"--encoder tokens: gives \[3, 3, 8, 8\] for 3 patches"):
        features(encoder)


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


def test_the_record_says_what_of_the_file_was_taken(tmp_path: Path) -> None:
    source = timm.create_model("test_vit", num_classes=7)
    torch.save({"teacher": {f"backbone.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "w.pth")
    encoder = load_encoder(EncoderChoice(name="test_vit", weights=tmp_path / "w.pth", device="cpu"))
    own = len(source.state_dict()) - 2
    wanted = f"{own} weights by timm names in 'teacher', below 'backbone.', of {own + 2} entries"
    assert encoder.provenance["weights_found"] == wanted
    assert encoder.provenance["precision"] == "float32"


def test_every_process_gives_the_same_bits() -> None:
    threads = torch.get_num_threads()
    ours = features(load_encoder(EncoderChoice(name="test_vit", random_seed=3, device="cpu")))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        theirs = pool.submit(
            other_process, EncoderChoice(name="test_vit", random_seed=3, device="cpu"), threads
        ).result()
    assert ours.tobytes() == theirs.tobytes()


def test_an_unknown_device_is_an_error() -> None:
    with pytest.raises(PathPluginsError, match="pass cpu, cuda or cuda:1"):
        load_encoder(EncoderChoice(name="test_vit", random_seed=0, device="gpu0"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32"])
def test_precision_on_a_gpu(precision: str) -> None:
    device = f"cuda:{torch.cuda.device_count() - 1}"
    model = timm.create_model("test_vit", num_classes=0)
    preprocess = Preprocess(resize_px=160, crop_px=160)
    options = {"label": "test_vit", "preprocess": preprocess, "provenance": {"weights": "none"}}
    exact = PatchEncoder(model, device="cpu", precision=precision, **options)
    assert exact.provenance["precision"] == "float32"
    wanted = features(exact)
    encoder = PatchEncoder(model, device=device, precision=precision, **options)
    assert encoder.provenance["precision"] == ("float32" if precision == "float32" else f"{precision} autocast")
    np.testing.assert_allclose(features(encoder), wanted, atol=0.1)
    assert features(encoder).tobytes() == features(encoder).tobytes()
    with pytest.raises(PathPluginsError, match="GPUs here; pass cuda:0"):
        load_encoder(EncoderChoice(name="test_vit", random_seed=0, device=f"cuda:{torch.cuda.device_count()}"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_absent_device_is_an_error() -> None:
    with pytest.raises(PathPluginsError, match="--device cpu"):
        load_encoder(EncoderChoice(name="test_vit", random_seed=0, device="cuda:1"))
