"""CLIP models: the features of both kinds of checkpoint are those of the library they come from."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

open_clip = pytest.importorskip("open_clip")
import torch  # noqa: E402
import transformers  # noqa: E402

from pathplugins.core.errors import CheckpointError, PathPluginsError  # noqa: E402
from pathplugins.data_tools.clip.architectures import ALIASES, fitting, model_config, shape_of_weights  # noqa: E402
from pathplugins.data_tools.clip.model import ClipChoice, central_square, load_clip  # noqa: E402

TEXTS = ["tumour cells", "a gland", "necrosis"]


@pytest.fixture
def patches() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (3, 6, 6, 3), np.uint8)
    return [np.asarray(Image.fromarray(patch).resize((67, 67), Image.Resampling.BICUBIC)) for patch in coarse]


def test_transformers_features_are_those_of_its_own_processor(
    transformers_clip: Path, patches: list[np.ndarray]
) -> None:
    clip = load_clip(ClipChoice(path=transformers_clip, device="cpu"))
    model = transformers.CLIPModel.from_pretrained(transformers_clip)
    tokenizer = transformers.AutoTokenizer.from_pretrained(transformers_clip)
    processor = transformers.CLIPImageProcessor.from_pretrained(transformers_clip)
    pixels = processor([Image.fromarray(patch) for patch in patches], return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        tokens = tokenizer(TEXTS, padding=True, return_tensors="pt")
        out = model(**tokens, pixel_values=pixels)
    images, texts = clip.patches(patches), clip.texts(TEXTS)
    assert images.shape == (3, 24)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(images, out.image_embeds.numpy(), atol=2e-3)  # tv and Pillow resize a hair apart
    np.testing.assert_allclose(texts, out.text_embeds.numpy(), atol=1e-5)


def test_open_clip_folder_gives_the_features_of_its_model(open_clip_folder: Path, patches: list[np.ndarray]) -> None:
    clip = load_clip(ClipChoice(path=open_clip_folder, device="cpu"))
    told = json.loads((open_clip_folder / "open_clip_config.json").read_text())
    model = open_clip.CLIP(**told["model_cfg"]).eval()
    model.load_state_dict(torch.load(open_clip_folder / "open_clip_pytorch_model.bin"))
    transform = open_clip.image_transform(
        32, is_train=False, **{k: tuple(told["preprocess_cfg"][k]) for k in ("mean", "std")}
    )
    pixels = torch.stack([transform(Image.fromarray(patch)) for patch in patches])
    with torch.inference_mode():
        images = model.encode_image(pixels, normalize=True).numpy()
        texts = model.encode_text(open_clip.tokenize(TEXTS, context_length=12), normalize=True).numpy()
    np.testing.assert_allclose(clip.patches(patches), images, atol=1e-5)
    np.testing.assert_allclose(clip.texts(TEXTS), texts, atol=1e-5)


def test_quick_gelu_of_the_folder_is_used(open_clip_folder: Path, patches: list[np.ndarray], tmp_path: Path) -> None:
    told = json.loads((open_clip_folder / "open_clip_config.json").read_text())
    told["model_cfg"].pop("quick_gelu")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(told))
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(
        (open_clip_folder / "open_clip_pytorch_model.bin").read_bytes()
    )
    quick, plain = (
        load_clip(ClipChoice(path=path, device="cpu")).patches(patches) for path in (open_clip_folder, tmp_path)
    )
    assert np.abs(quick - plain).max() > 1e-3


def test_texts_beyond_the_model_are_named(transformers_clip: Path, open_clip_folder: Path) -> None:
    for path, words in ((transformers_clip, 14), (open_clip_folder, 10)):
        clip = load_clip(ClipChoice(path=path, device="cpu"))
        fits, long = " ".join(["a"] * words), " ".join(["a"] * (words + 1))
        assert clip.cut([fits, long]) == [long]
        assert clip.texts([fits, long]).shape[0] == 2


def test_batches_of_texts_are_the_same_as_single_ones(transformers_clip: Path) -> None:
    clip = load_clip(ClipChoice(path=transformers_clip, device="cpu"))
    texts = [f"{'ab'[n % 2] * (n % 9 + 1)} cd" for n in range(70)]
    np.testing.assert_allclose(clip.texts(texts), np.concatenate([clip.texts([text]) for text in texts]), atol=1e-5)


def test_a_file_of_weights_needs_an_arch_that_fits(tmp_path: Path) -> None:
    config = model_config("ViT-S-32-alt")
    state = open_clip.CLIP(**config).state_dict()
    path = tmp_path / "model.pt"
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}, path)
    with pytest.raises(PathPluginsError, match=r"says not what it is; pass --clip-arch \(ViT-S-32-alt fits\)"):
        load_clip(ClipChoice(path=path, device="cpu"))
    with pytest.raises(CheckpointError, match=r"shapes are those of ViT-S-32-alt: pass --clip-arch ViT-S-32-alt"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32", device="cpu"))
    with pytest.raises(PathPluginsError, match="Did you mean ViT-S-32-alt"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32-al", device="cpu"))
    clip = load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", device="cpu"))
    assert clip.texts(["a"]).shape == (1, config["embed_dim"])
    assert clip.describe()["encoder"] == "ViT-S-32-alt"
    state.pop("ln_final.weight")
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"1 missing and 0 unknown \(ln_final.weight\)"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", device="cpu"))


def test_released_pathgen_clips_run_with_openai_s_activation() -> None:
    shapes = {}
    for alias, arch in ALIASES.items():
        assert model_config(alias) == model_config(arch)
        assert model_config(alias)["quick_gelu"] is True
        with torch.device("meta"):
            shapes[alias] = fitting(shape_of_weights(open_clip.CLIP(**model_config(alias)).state_dict()))
    assert shapes == {
        "pathgen-clip": ["ViT-B-16", "ViT-B-16-quickgelu"],
        "pathgen-clip-l": ["ViT-L-14-336", "ViT-L-14-336-quickgelu"],
    }
    assert not model_config("ViT-B-16").get("quick_gelu")
    assert model_config("ViT-S-32-alt-quickgelu") == {**model_config("ViT-S-32-alt"), "quick_gelu": True}


def test_what_is_no_clip_is_refused(transformers_clip: Path, tmp_path: Path) -> None:
    def message(path: Path, **options: object) -> str:
        with pytest.raises(PathPluginsError) as caught:
            load_clip(ClipChoice(path=path, device="cpu", **options))
        return str(caught.value)

    assert "hf download" in message(tmp_path / "absent")
    assert "no config.json" in message(tmp_path)
    assert "says itself what it is" in message(transformers_clip, arch="ViT-B-16")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert "model_type 'vit'" in message(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"')
    assert "not readable as JSON" in message(tmp_path)
    (tmp_path / "open_clip_config.json").write_text(
        '{"model_cfg": {"embed_dim": 4, "text_cfg": {"hf_model_name": "x"}}}'
    )
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"")
    assert "not fetched" in message(tmp_path)


def test_a_text_tower_that_is_missing_is_an_error(transformers_clip: Path, tmp_path: Path) -> None:
    for file in transformers_clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").unlink()
    state = transformers.CLIPModel.from_pretrained(transformers_clip).state_dict()
    torch.save({key: value for key, value in state.items() if "text_model" not in key}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="weights of the model are not in it"):
        load_clip(ClipChoice(path=tmp_path, device="cpu"))


def test_no_code_of_a_checkpoint_runs(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"visual.proj": Trap()}))
    with pytest.raises(CheckpointError, match="not weights alone"):
        load_clip(ClipChoice(path=path, arch="ViT-B-16", device="cpu"))
    assert not (tmp_path / "ran").exists()


def test_central_square() -> None:
    picture = Image.new("RGB", (50, 31), "red")
    picture.paste("blue", (9, 0, 40, 31))
    square = central_square(picture)
    assert square.shape == (31, 31, 3)
    assert (square == (0, 0, 255)).all()
