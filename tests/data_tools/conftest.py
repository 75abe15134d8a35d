"""Demo slides, the command line and a server of chat completions, shared by the tests of the data tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chat_server import ChatServer

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def slides_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.svs`` and ``b.svs``: 0.5 um/px, odd sizes, different tissue."""
    from pathplugins.data_tools.slides.demo import write_demo_slide

    folder = tmp_path_factory.mktemp("slides")
    write_demo_slide(folder / "a.svs", (1411, 1003), seed=1, kind=0)
    write_demo_slide(folder / "b.svs", (1203, 1509), seed=2, kind=1)
    return folder


@pytest.fixture(scope="session")
def sharp_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 40x slide: 0.25 um/px, levels 1, 4 and 16."""
    from pathplugins.data_tools.slides.demo import write_demo_slide

    path = tmp_path_factory.mktemp("sharp") / "sharp.svs"
    write_demo_slide(path, (1537, 1157), seed=3, kind=1, mpp=0.25, magnification=40)
    return path


@pytest.fixture(scope="session")
def many_slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides with tissue."""
    from pathplugins.data_tools.slides.demo import write_demo_slide

    folder = tmp_path_factory.mktemp("many")
    for seed in range(4):
        write_demo_slide(folder / f"s{seed}.svs", (801 + 64 * seed, 703), seed=seed, kind=seed)
    return folder


@pytest.fixture
def real_slide() -> Path:
    """A region of a real Aperio slide, where the test data are there."""
    path = REPOSITORY.parent / "shared" / "data" / "CMU-1-Small-Region.svs"
    if not path.is_file():
        pytest.skip(f"no real slide at {path}")
    return path


@pytest.fixture
def pathdata(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command line in this process: ``pathdata(*arguments) -> (exit code, stderr)``."""
    from pathplugins.data_tools.cli import main

    def run(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, capfd.readouterr().err

    return run


@pytest.fixture(scope="session")
def transformers_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an untrained CLIP of Transformers: 32 px, 24 features, texts of up to 16 tokens."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("clips") / "tiny-clip"
    folder.mkdir()
    letters = [*"abcdefghijklmnopqrstuvwxyz,.-"]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    end = {"eos_token_id": len(words) - 1, "bos_token_id": len(words) - 2, "pad_token_id": len(words) - 1}
    config = transformers.CLIPConfig(
        text_config={**sizes, **end, "vocab_size": len(words), "max_position_embeddings": 16},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    torch.manual_seed(5)
    transformers.CLIPModel(config).save_pretrained(folder)
    preprocessor = {
        "size": {"shortest_edge": 32},
        "crop_size": {"height": 32, "width": 32},
        "do_center_crop": True,
        "resample": 3,
        "image_mean": [0.48, 0.45, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


@pytest.fixture(scope="session")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as ``hf download`` of an open_clip repository gives it: 32 px, 20 features, QuickGELU."""
    import open_clip
    import torch

    folder = tmp_path_factory.mktemp("clips") / "tiny-open-clip"
    folder.mkdir()
    config = {
        "embed_dim": 20,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    }
    torch.manual_seed(6)
    torch.save(open_clip.CLIP(**config).state_dict(), folder / "open_clip_pytorch_model.bin")
    preprocess = {
        "mean": [0.5, 0.4, 0.6],
        "std": [0.2, 0.3, 0.25],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    told = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A server of chat completions on loopback."""
    from chat_server import serving

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as server:
        yield server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries a hundredth as long."""
    monkeypatch.setattr("pathplugins.data_tools.captioning.client.FIRST_WAIT_S", 0.01)


@pytest.fixture
def patches(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with patches and a manifest: ``patches(name, count, **cells of every row)``."""
    from chat_server import write_patches

    return lambda name, count, **cells: write_patches(tmp_path / name, count, **cells)


@pytest.fixture
def selected(patches: Callable[..., Path]) -> Path:
    """Six patches of two slides, as ``pathgen select`` leaves them: no captions."""
    return patches("selected", 6)
