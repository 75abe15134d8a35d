"""`pathplugins preprocess`: the folder it writes trains as its source does (A25)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from pathplugins.cli import main
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.drawn import read_drawn
from pathplugins.xtuner.datasets import PathologyDataset

pytestmark = pytest.mark.host

TOWER = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
PARTS = {
    **{"llm": "tiny-untrained-llama", "vision_model_name": "plip", "mm_projector_type": "scale_invariant"},
    "vision_config": {**TOWER, "image_size": 24, "patch_size": 8},
    "projector_config": {"num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 40},
    "random_vision_seed": 0,
}
CONFIG = """
from xtuner.utils import PROMPT_TEMPLATE
from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT
from pathplugins.xtuner.datasets import PathologyDataset
parts = dict({parts})
train_dataloader = dict(batch_size=1, dataset=dict(type=PathologyDataset, model=parts, max_length=300,
    prompt_template=PROMPT_TEMPLATE.llama3_chat, system=PATCH_SYSTEM_PROMPT, {data}))
"""


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(tmp_path_factory.mktemp("preprocess") / "cache"))
        yield


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A config with this text as data."""

    def write(data: str, parts: dict[str, Any] = PARTS, name: str = "config.py") -> Path:
        (tmp_path / name).write_text(CONFIG.format(parts=f"**{parts!r}", data=data))
        return tmp_path / name

    return write


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Text of a config: four samples, one of them text only and one whose image is gone; images relative."""
    records, _ = read_drawn(tmp_path / "images", images=2)
    names = [Path(record.images[0]).name for record in records]
    said = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "The image shows tumour."}]
    asked = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "Necrosis."}]
    samples = [{"id": name, "image": name, "conversations": said} for name in (*names, "gone.png")]
    (tmp_path / "train.json").write_text(json.dumps([*samples, {"id": "text", "conversations": asked}]))
    return f"data_path={str(tmp_path / 'train.json')!r}, image_folder={str(tmp_path / 'images')!r}"


def dataset(config: Path) -> PathologyDataset:
    options = Config.fromfile(config).train_dataloader.dataset
    return PathologyDataset(**{name: options[name] for name in options if name != "type"})


def test_a25_the_folder_gives_the_very_same_samples(
    write: Callable[..., Path], data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = write(f"{data}, on_bad_sample='skip'"), tmp_path / "deep" / "tokenized"
    assert main(["preprocess", str(config), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    wanted = dataset(config)
    longest = max(map(abs, wanted.modality_length))
    assert re.search(rf"^3 samples, \d+\.\d tokens on average and {longest} at most", said, re.MULTILINE)
    assert "1 rows cannot be used and are left out" in said
    [line] = [line.strip() for line in said.splitlines() if line.strip().startswith("offline_processed_text_folder=")]

    (tmp_path / "train.json").unlink()  # the folder is all that is needed
    images = data.partition("image_folder=")[2]
    got = dataset(write(f"{line}, image_folder={images}, on_bad_sample='skip'", name="offline.py"))
    assert [got[n] for n in range(len(got))] == [wanted[n] for n in range(len(wanted))]
    assert got.modality_length == wanted.modality_length
    assert [len(got[n]["images"]) for n in range(3)] == [1, 1, 0]
    moved = tmp_path / "elsewhere"
    (tmp_path / "images").rename(moved)
    again = dataset(write(f"{line}, image_folder={str(moved)!r}, on_bad_sample='skip'", name="moved.py"))
    assert again[0]["images"][0].startswith(str(moved)), "images and folder may move"


def test_what_is_bad_stops_it(
    write: Callable[..., Path], data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preprocess", str(write(data)), "--out", str(tmp_path / "out")]) != 0
    assert re.search(r"1 of 4 samples cannot be used[\s\S]*train\.json:3: missing file", capsys.readouterr().err)
    assert not (tmp_path / "out").exists(), "nothing half-written is left"


def test_an_existing_folder_is_left_alone(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    assert main(["preprocess", str(write("data_path='none.json'")), "--out", str(tmp_path / "out")]) != 0
    assert "exists and is not an empty directory" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "from xtuner.dataset import LLaVADataset\ntrain_dataloader = dict(dataset=dict(type=LLaVADataset))",
            "expected",
        ),
        ("from mmengine.hooks import Hook\ntrain_cfg = dict(type=Hook)", "expected PathologyDataset"),
        (None, "does not exist"),
        (CONFIG.format(parts="", data="offline_processed_text_folder='sft'"), "sft, which is tokenized already"),
    ],
    ids=["XTuner's dataset", "no dataset", "no file", "tokenized"],
)
def test_nothing_to_tokenize(tmp_path: Path, text: str | None, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    if text is not None:
        (tmp_path / "config.py").write_text(text)
    assert main(["preprocess", str(tmp_path / "config.py"), "--out", str(tmp_path / "out")]) != 0
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_model_refuses_the_folder(write: Callable[..., Path], tmp_path: Path) -> None:
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    drawn = "format='drawn', format_options=dict(images=2), data_path={!r}".format(str(tmp_path / "images"))
    assert main(["preprocess", str(write(drawn)), "--out", str(tmp_path / "out")]) == 0
    offline = f"offline_processed_text_folder={str(tmp_path / 'out')!r}"
    assert len(dataset(write(offline))) == 2
    other = {**PARTS, "llm": str(build_tiny_llm(tmp_path / "llm", ["Of another language."], tied=False))}
    with pytest.raises(PathPluginsError, match="made with another tokenizer"):
        dataset(write(offline, parts=other))
