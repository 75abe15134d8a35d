"""Weights come from one place, never from the network unasked, and errors say how to get them."""

from pathlib import Path

import pytest
from tiny_encoders import features

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.encoders.encoder import load_encoder
from pathplugins.encoders.origin import EncoderChoice

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("resnet18", r"'hf download timm/resnet18\.a1_in1k --local-dir DIR' fetches one; then --encoder DIR"),
        ("hf-hub:lab/model", r"'hf download lab/model --local-dir DIR' fetches one; then --encoder DIR"),
        ("gigapath", r"'hf download prov-gigapath/prov-gigapath pytorch_model\.bin --local-dir DIR' fetches it"),
        ("phikon", r"'hf download owkin/phikon model\.safetensors --local-dir DIR' fetches it"),
    ],
)
def test_without_weights_the_error_says_what_fetches_them(name: str, command: str) -> None:
    wanted = rf"none are fetched.*--download.*--weights FILE.*{command}.*--random-weights SEED"
    with pytest.raises(PathPluginsError, match=wanted) as error:
        load_encoder(EncoderChoice(name=name, device="cpu"))
    assert ("hf auth login" in str(error.value)) == (name == "gigapath")


@pytest.mark.parametrize("download", [False, True])
def test_weights_on_no_hub_are_not_promised(download: bool) -> None:
    with pytest.raises(PathPluginsError, match=r"none can be downloaded.*PatchTCGA.*--weights FILE") as error:
        load_encoder(EncoderChoice(name="ptcga200-moco", download=download, device="cpu"))
    assert "--download" not in str(error.value)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the Hugging Face hub, and no network: what is not in it cannot be had."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_download_takes_the_published_file(hub_cache: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    repository = hub_cache / "models--timm--resnet50.tv_in1k"
    file = repository / "snapshots" / "0a1b2c" / "model.safetensors"
    file.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0a1b2c")
    published = timm.create_model("resnet50", num_classes=3)
    safetensors.save_file(published.state_dict(), file)
    encoder = load_encoder(EncoderChoice(name="resnet50-clam", download=True, device="cpu"))
    assert features(encoder).shape == (3, 1024)
    local = load_encoder(EncoderChoice(name="resnet50-clam", weights=file, device="cpu"))
    assert local.describe() == encoder.describe()
    with torch.inference_mode():
        pixels = torch.zeros(1, 3, 224, 224)
        x = published.eval().maxpool(published.act1(published.bn1(published.conv1(pixels))))
        wanted = published.layer3(published.layer2(published.layer1(x))).mean((2, 3))
        torch.testing.assert_close(encoder._model(pixels)[0].mean((2, 3)), wanted)


@pytest.mark.parametrize(
    ("name", "what"), [("virchow2", "paige-ai/Virchow2 model.safetensors"), ("resnet18", "resnet")]
)
def test_a_failed_download_says_what_to_check(hub_cache: Path, name: str, what: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{what}.* could not be fetched .*check network and.*--weights FILE"):
        load_encoder(EncoderChoice(name=name, download=True, device="cpu"))


def test_one_origin_only(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="exclude each other"):
        load_encoder(EncoderChoice(name="test_vit", weights=tmp_path / "w.pth", random_seed=0))
