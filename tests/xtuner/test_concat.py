"""Several data sets as one: other formats and images in each, in the order of their lengths, one report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.runner import Runner
from PIL import Image
from xtuner.dataset import ConcatDataset

from pathplugins.cli import main
from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.concat import PathologyDatasets
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.samplers import EpochLengthGroupedSampler, ModalityLengthSampler

pytestmark = pytest.mark.host

TOWER = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
PARTS = {
    **{"llm": "tiny-untrained-llama", "vision_model_name": "clip", "mm_projector_type": "mlp2x_gelu"},
    **{"vision_config": {**TOWER, "image_size": 24, "patch_size": 8}, "random_vision_seed": 0},
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Five samples about an image as LLaVA has them, seven without as LLaMA-Factory has them."""
    made = tmp_path_factory.mktemp("sets")
    Image.new("RGB", (31, 17), (200, 90, 120)).save(made / "a.png")
    looked = [
        {
            **{"id": f"i{n}", "image": "a.png"},
            "conversations": [
                {"from": "human", "value": "<image>\nWhat is it?"},
                {"from": "gpt", "value": "Stroma. " * n},
            ],
        }
        for n in range(1, 6)
    ]
    told = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes. " * n}]}
        for n in range(1, 8)
    ]
    (made / "images.json").write_text(json.dumps(looked))
    (made / "texts.json").write_text(json.dumps(told))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(made / "cache"))
        yield made


@pytest.fixture
def sets(places: Path) -> list[dict[str, Any]]:
    shared = {"type": PathologyDataset, "model": PARTS, "prompt_template": "llama3_chat"}
    images = {**shared, "data_path": str(places / "images.json"), "image_folder": str(places)}
    return [images, {**shared, "format": "sharegpt", "data_path": str(places / "texts.json")}]


@pytest.mark.parametrize("kind", [PathologyDatasets, ConcatDataset])
@pytest.mark.parametrize("sampler", [EpochLengthGroupedSampler, ModalityLengthSampler])
def test_every_sample_comes_once_an_epoch(sets: list[dict[str, Any]], kind: type, sampler: type) -> None:
    grouped = {"length_property": "modality_length", "per_device_batch_size": 2}
    own = grouped if sampler is EpochLengthGroupedSampler else {"batch_size": 2}
    config = {
        **{"dataset": {"type": kind, "datasets": sets}, "batch_size": 2, "num_workers": 0},
        **{"sampler": {"type": sampler, **own}, "collate_fn": {"type": collate, "model": PARTS}},
    }
    loader = Runner.build_dataloader(config, seed=3)
    loader.sampler.set_epoch(2)
    assert [len(part) for part in loader.dataset.datasets] == [5, 7]
    assert {part[0]["epoch"] for part in loader.dataset.datasets} == {2}
    assert sorted(loader.sampler) == [*range(12)]
    batches = [batch["data"] for batch in loader]
    assert [batch["input_ids"].shape[0] for batch in batches] == [2] * 6
    assert all("pixel_values" in batch for batch in batches), "a blank image where there is none"


def test_one_report_names_the_bad_rows_of_all(sets: list[dict[str, Any]], places: Path) -> None:
    for number, name in enumerate(("images", "texts")):
        rows = json.loads((places / f"{name}.json").read_text())
        turn = rows[2]["conversations" if number == 0 else "messages"][1]
        turn["value" if number == 0 else "content"] = " "
        bad = places / f"bad_{name}.json"
        bad.write_text(json.dumps(rows))
        sets[number] = {**sets[number], "data_path": str(bad)}
    with pytest.raises(BadSamplesError) as raised:
        PathologyDatasets(sets)
    assert re.search(r"bad_images\.json:\d+: empty answer[\s\S]+bad_texts\.json:\d+: empty answer", str(raised.value))
    with pytest.raises(PathPluginsError, match="datasets is empty"):
        PathologyDatasets([])


CONFIG = """
from xtuner.dataset import ConcatDataset
from pathplugins.xtuner.datasets import PathologyDataset
train_dataloader = dict(dataset=dict(type=ConcatDataset, datasets=[{sets}]))
"""


def test_preprocess_writes_a_folder_for_each(
    sets: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = ", ".join(
        "dict(type=PathologyDataset, **{!r})".format({k: v for k, v in one.items() if k != "type"}) for one in sets
    )
    (tmp_path / "config.py").write_text(CONFIG.format(sets=written))
    out = tmp_path / "tokens"
    assert main(["preprocess", str(tmp_path / "config.py"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "5 samples" in said
    assert f"wrote {out}/1; in datasets[1] of" in said
    offline = {"model": PARTS, "offline_processed_text_folder": str(out / "0"), "image_folder": sets[0]["image_folder"]}
    again, before = PathologyDataset(**offline), PathologyDataset(**{k: v for k, v in sets[0].items() if k != "type"})
    assert [again[n] for n in range(5)] == [before[n] for n in range(5)]


def test_a_mistyped_option_of_the_data_is_said_in_our_words(sets: list[dict[str, Any]]) -> None:
    with pytest.raises(PathPluginsError, match=r"dataset: unknown option 'imag_folder'\. Did you mean 'image_folder'"):
        PathologyDatasets([{**sets[0], "imag_folder": "x"}])
