"""CLIP models: the features of both kinds of checkpoint are those of the library they come from."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

open_clip = pytest.importorskip("open_clip")
import torch  # noqa: E402
import transformers  # noqa: E402

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


def test_central_square() -> None:
    picture = Image.new("RGB", (50, 31), "red")
    picture.paste("blue", (9, 0, 40, 31))
    square = central_square(picture)
    assert square.shape == (31, 31, 3)
    assert (square == (0, 0, 255)).all()
